"""A second sample level for an encoder that has learned one kind of caption: fitted in closed form on its features."""

from pathlib import Path

import numpy as np
import torch

from core.fitting.calibration import calibrate
from core.fitting.closed_form import ALPHAS
from core.fitting.ridge import fit_ridge
from core.model.checkpoint import EegEncoder
from core.model.heads import HeadConfig
from core.model.prediction import predict, tokens_of
from core.preprocessing.trials import Trials

from ..targets.frozen_targets import load_targets


def with_captions(
    encoder: EegEncoder,
    space: str,
    train: Trials,
    val: Trials,
    captions: dict[str, str],
    clip: str,
    cache: Path,
    rank: int = 32,
) -> EegEncoder:
    """Return an encoder with the same backbone and one text head for other captions of the same pictures.

    train, val: trials as they are decoded. captions: image id → caption. clip, cache: see `load_targets`. The head is a
    basis of at most `rank` components, fitted by ridge regression on the training trials' features and calibrated on
    the validation trials; backbone and the encoder given stay as they are.
    """
    names = sorted({captions[name] for name in np.concatenate([train.image_id, val.image_id]).tolist()})
    values, _ = load_targets(space, clip, names, cache=cache)
    where = {name: row for row, name in enumerate(names)}

    def rows(trials: Trials) -> np.ndarray:
        return np.array([where[captions[name]] for name in trials.image_id.tolist()], dtype=np.int64)

    seen = np.unique(rows(train))
    config = HeadConfig(
        space, "basis", rank=min(rank, len(seen) - 1), concepts=tuple(names[row] for row in seen.tolist())
    )
    spectrogram = encoder.spectrogram.config if encoder.spectrogram is not None else None
    other = EegEncoder(
        encoder.preprocessing,
        encoder.normaliser,
        encoder.architecture,
        encoder.backbone.config,
        [config],
        spectrogram,
        people=encoder.people,
        person_layers=encoder.personal is not None,
    )
    other.backbone.load_state_dict(encoder.backbone.state_dict())
    if other.personal is not None and encoder.personal is not None:
        other.personal.load_state_dict(encoder.personal.state_dict())
    head = other.head()
    head.set_target(values[torch.from_numpy(seen)])
    head.gallery.copy_(head.comparable(values[torch.from_numpy(seen)]))
    wanted = head.coordinates(values[torch.from_numpy(rows(train))]).double()
    pictures = torch.from_numpy(np.unique(train.image_id, return_inverse=True)[1].reshape(-1) % 5)
    fitted = fit_ridge(tokens_of(other, train.eeg, people=train.subject).flatten(1).double(), wanted, ALPHAS, pictures)
    spread = head.target_spread.double()
    with torch.no_grad():
        head.last.weight.copy_((fitted.weights / spread).T.float())
        head.last.bias.copy_((fitted.bias / spread).float())
    if len(val):
        label = torch.from_numpy(val.label)
        calibrate(other, predict(other, val.eeg, people=val.subject), label, {space: (values, rows(val))})
    return other.eval()
