"""An encoder for each fold of a protocol, fitted without the trials it is tested on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.model.checkpoint import EegEncoder
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.trials import Trials

from ..config.options import TrainOptions
from ..protocols.fold import Fold
from ..protocols.registry import protocol_named
from ..targets.target import Target
from .fit import fit_encoder
from .splits import fold_options


def fitted_folds(
    trials: Trials,
    stored: PreprocessingConfig,
    targets: dict[str, Target],
    options: TrainOptions,
    protocol: str,
    out: Path | None = None,
    n_folds: int = 5,
    calibrated: bool = True,
    keep_split: bool = False,
) -> Iterator[tuple[Fold, EegEncoder]]:
    """Yield each fold of a protocol with an encoder that was fitted, scaled and calibrated without its test trials.

    Every fold's encoder is a new one. out: a folder for each fold's training, needed for gradient descent. calibrated:
    see `fit_encoder`. keep_split: see `FoldOptions`. Raises
    ValueError for an unknown protocol or where the trials lack what it needs.
    """
    for fold in protocol_named(protocol).folds(trials, fold_options(options, n_folds, keep_split)):
        if not len(fold.train):
            raise ValueError(f"{protocol} leaves no trials to train on in {fold.name!r}; lower --val-share")
        folder = None if out is None else out / fold.name
        yield fold, fit_encoder(trials, fold.parts, stored, targets, options, folder, calibrated=calibrated)


def encoders_left_out(
    trials: Trials,
    stored: PreprocessingConfig,
    targets: dict[str, Target],
    options: TrainOptions,
    out: Path | None = None,
) -> Iterator[tuple[np.ndarray, EegEncoder]]:
    """Yield for each run its trials' indices and an encoder that was fitted, scaled and calibrated without them.

    As `fitted_folds` with leave-one-run-out. Raises ValueError where there are not at least two runs.
    """
    for fold, encoder in fitted_folds(trials, stored, targets, options, "leave-one-run-out", out):
        yield fold.test, encoder
