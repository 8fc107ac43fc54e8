"""Every architecture that gradient descent trains goes through train.py and evaluate.py on a small phantom store."""

import numpy as np
import pytest
import torch

from core.encoders import ENCODERS
from core.encoders.registry import by_gradient_descent
from core.files import PHANTOM
from core.model.checkpoint import load_encoder
from core.model.prediction import predict
from tests.small_trials import FOUR_CLASSES
from trainer.config.options import train_options
from trainer.prepare import prepare
from trainer.store.store import open_store
from trainer.train import train

SMALL = {
    "nice": ("n_filters=4",), "eegproject": ("width=16",), "atm-s": ("n_filters=4",), "brain-mlp": ("width=16",),
    "eegconformer": ("width=10", "depth=1", "kernel=9", "pool=15"), "shallow-fbcsp": ("n_filters=4", "pool=30"),
    "ubp-eegnet": ("kernel=16",), "resnet1d": ("n_filters=4,6,8",), "vbp": ("width=16", "n_maps=4"),
    "deep4": ("n_filters=4,4,4,4",), "lstm": ("hidden=8", "width=8"), "patch-transformer": ("width=8", "n_heads=2"),
    "coatnet": ("stages=CT", "depths=1,1", "widths=4,6", "n_heads=2", "head_width=4"),
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    return prepare("phantom", None, folder / "store", FOUR_CLASSES, progress=False).folder


@pytest.mark.parametrize("name", [name for name in by_gradient_descent() if not ENCODERS[name].package])
def test_an_encoder_trains_and_its_file_answers(name, store, tmp_path):
    shown = "stft" if ENCODERS[name].input == "spectrogram" else "none"
    options = train_options(
        data=store, out=tmp_path / "run", encoder=name, set=SMALL.get(name, ()), spectrogram=shown, clip=str(PHANTOM),
        space=("sd1.text", "prompts"), rank=3, projector=16, epochs=2, batch=16,
    )  # fmt: skip
    encoder = load_encoder(train(options))
    assert encoder.architecture == name
    trials = open_store(store).trials()
    outputs = predict(encoder, np.asarray(trials.eeg[:3]), people=trials.subject[:3])
    assert {space: torch.isfinite(output).all().item() for space, output in outputs.items()} == {
        "sd1.text": True,
        "prompts": True,
    }
    history = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(history) == 2
