"""The seam of the encoders: one file and one row make an architecture that is trained, fitted, saved and loaded."""

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.choices import PERSONAL_ARCHITECTURES
from core.encoders import ENCODERS, BuildContext, Encoder, build_encoder, config_for
from core.encoders.registry import by_gradient_descent, in_closed_form
from core.model.build_context import context_of
from core.model.checkpoint import EegEncoder, load_encoder, save_encoder
from core.model.heads import HeadConfig
from core.model.spectrogram import SpectrogramConfig
from core.preprocessing.normaliser import Normaliser
from core.registry import by_name
from tests.small_trials import CONFIG, class_trials
from trainer.config.flags import with_flags
from trainer.config.options import train_options
from trainer.training.fit import fit_encoder
from trainer.training.splits import split_trials

OWN = [name for name, row in ENCODERS.items() if not row.package]
# Settings of architectures whose published sizes ask for longer windows, or are large.
SHORT = {
    "nice": {"kernel": 5, "pool": 5}, "eegconformer": {"kernel": 5, "pool": 5},
    "shallow-fbcsp": {"kernel": 5, "pool": 5}, "ubp-eegnet": {"kernel": 5, "second_kernel": 5},
    "eegproject": {"width": 8}, "brain-mlp": {"width": 8}, "vbp": {"width": 8, "hidden": 8},
}  # fmt: skip
TRAINED = '''
"""A scale and a shift a person, then a linear map."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class ToyConfig:
    n_channels: int = 4
    n_times: int = 32
    n_subjects: int = 1
    width: int = 6


class Toy(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config, self.n_tokens, self.width = config, 1, config.width
        self.gain = nn.Embedding(config.n_subjects, config.n_channels)
        self.mix = nn.Linear(config.n_channels * config.n_times, config.width)

    def forward(self, eeg, subject=None):
        if subject is not None:
            eeg = eeg * (1 + self.gain(subject))[:, :, None]
        return self.mix(eeg.flatten(1))[:, None]


def values(context, settings):
    sizes = {"n_channels": context.n_channels, "n_times": context.n_times, "n_subjects": len(context.subjects)}
    return {**settings, **sizes}
'''
FITTED = '''
"""Channel means less the training's."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class MeansConfig:
    n_channels: int = 4
    n_times: int = 32


class Means(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config, self.n_tokens, self.width = config, 1, config.n_channels
        self.register_buffer("center", torch.zeros(config.n_channels))

    def forward(self, eeg, subject=None):
        return (eeg.mean(2) - self.center)[:, None]


def fit(eeg, labels, config):
    made = Means(config)
    made.center.copy_(eeg.mean((0, 2)))
    return made
'''


def module_of(folder, name, source):
    """Write one architecture's file and import it."""
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def toy(tmp_path, monkeypatch):
    made = module_of(tmp_path, "toy_architecture", TRAINED)
    row = Encoder("toy", made.ToyConfig, made.Toy, values=made.values, needs=("subjects",), least_times=4)
    monkeypatch.setitem(ENCODERS, "toy", row)
    yield made
    del sys.modules["toy_architecture"]


@pytest.fixture
def means(tmp_path, monkeypatch):
    made = module_of(tmp_path, "means_architecture", FITTED)
    monkeypatch.setitem(ENCODERS, "means", Encoder("means", made.MeansConfig, made.Means, fit=made.fit))
    yield made
    del sys.modules["means_architecture"]


def of_two_people():
    trials = class_trials()
    return replace(trials, subject=np.where(np.arange(len(trials)) % 2, "b", "a"))


def test_a_new_architecture_is_trained_saved_and_loaded(toy, tmp_path):
    trials = of_two_people()
    options = train_options(encoder="toy", set=("width=5",), space=("prompts",), epochs=1, batch=16, contrastive=1)
    encoder = fit_encoder(trials, split_trials(trials, options), CONFIG, {}, options, tmp_path / "run")
    assert encoder.backbone.config == toy.ToyConfig(len(CONFIG.ch_names), CONFIG.n_times, n_subjects=2, width=5)
    save_encoder(encoder, tmp_path / "toy.safetensors")
    loaded, eeg = load_encoder(tmp_path / "toy.safetensors"), torch.randn(3, len(CONFIG.ch_names), CONFIG.n_times)
    assert loaded.architecture == "toy"
    assert torch.equal(loaded(eeg)["prompts"], encoder(eeg)["prompts"])


def test_an_encoder_hands_on_whose_windows_they_are(toy):
    context = BuildContext(len(CONFIG.ch_names), CONFIG.n_times, CONFIG.sfreq, CONFIG.ch_names, subjects=("a", "b"))
    nothing = Normaliser(np.zeros(len(CONFIG.ch_names), np.float32), np.ones(len(CONFIG.ch_names), np.float32))
    heads = [HeadConfig("prompts", "prompts", prompts=("a", "b"))]
    encoder = EegEncoder(CONFIG, nothing, "toy", config_for("toy", context), heads).eval()
    eeg = torch.randn(1, context.n_channels, context.n_times)
    first, second = (encoder(eeg, torch.tensor([number]))["prompts"] for number in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(encoder.tokens(eeg), encoder.backbone(eeg))


def test_a_new_architecture_is_fitted_in_closed_form(means, tmp_path):
    trials = class_trials()
    options = train_options(encoder="means", space=("prompts",), val_share=0.0)
    encoder = fit_encoder(trials, split_trials(trials, options), CONFIG, {}, options)
    assert encoder.backbone.center.abs().sum() > 0
    save_encoder(encoder, tmp_path / "means.safetensors")
    assert torch.equal(load_encoder(tmp_path / "means.safetensors").backbone.center, encoder.backbone.center)
    changed = with_flags(options, contrastive=1)
    with pytest.raises(ValueError, match="'means' is fitted in closed form; use --encoder nice"):
        fit_encoder(trials, split_trials(trials, changed), CONFIG, {}, changed, tmp_path)


def test_what_an_architecture_needs_is_asked_for(toy):
    context = BuildContext(4, 32, 128.0, ("a", "b", "c", "d"), subjects=("s",))
    assert config_for("toy", context).n_subjects == 1
    with pytest.raises(ValueError, match="'toy' needs who each trial is from"):
        config_for("toy", replace(context, subjects=("",)))
    with pytest.raises(ValueError, match="at least 4 samples, not 3"):
        config_for("toy", replace(context, n_times=3))
    with pytest.raises(ValueError, match="Unknown key wdith for encoder 'toy'; known: n_channels"):
        config_for("toy", context, {"wdith": 3})


def test_a_name_that_is_taken_is_refused(toy):
    with pytest.raises(ValueError, match="two rows are called 'toy'"):
        by_name([*ENCODERS.values(), ENCODERS["toy"]])


def test_every_row_goes_by_its_own_name_and_is_trained_in_one_way():
    assert all(name == row.name for name, row in ENCODERS.items())
    assert set(in_closed_form()) == {"linear", "tangent", "filter-bank", "reve"}
    assert not set(in_closed_form()) & set(by_gradient_descent())
    assert tuple(name for name, row in ENCODERS.items() if row.one_person) == PERSONAL_ARCHITECTURES


@pytest.mark.parametrize("name", OWN)
def test_a_config_takes_its_sizes_from_the_context_alone(name):
    picture = SpectrogramConfig(kind="stft", sfreq=CONFIG.sfreq) if ENCODERS[name].input == "spectrogram" else None
    context = context_of(CONFIG, picture, ("a",), 3)
    settings = SHORT.get(name, {})
    encoder = build_encoder(name, config_for(name, context, {**settings, "n_channels": 3} if not picture else {}))
    given = torch.rand((2, context.n_channels, context.n_times) if picture is None else (2, *context.picture))
    tokens, own = (encoder.eval()(given, subject) for subject in (None, torch.tensor([0, 0])))
    assert tokens.shape == (2, encoder.n_tokens, encoder.width)
    assert torch.equal(tokens, own) != ENCODERS[name].tells_people_apart


def test_pictures_and_windows_are_not_taken_for_one_another():
    context = BuildContext(4, 32, 128.0, ("a", "b", "c", "d"))
    with pytest.raises(ValueError, match="'coatnet' reads pictures and needs a spectrogram"):
        config_for("coatnet", context)
    with pytest.raises(ValueError, match="'nice' reads eeg and takes no spectrogram"):
        config_for("nice", replace(context, picture=(4, 32, 32)))
