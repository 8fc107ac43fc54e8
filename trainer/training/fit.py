"""Fitting an encoder to a store's training split: closed form or gradient descent, then calibration on trials it never
saw.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from core.encoders import encoder_named
from core.fitting.calibration import calibrate
from core.fitting.closed_form import fit_backbone, fit_closed_form, needs_network, out_of_fold
from core.model.checkpoint import EegEncoder
from core.model.prediction import encode_ready, predict
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.session_normaliser import by_sessions
from core.preprocessing.trials import Trials

from ..config.flags import with_flags
from ..config.options import TrainOptions
from ..targets.target import Target
from .build import build_for
from .splits import trials_at_use, trials_in_training

N_FOLDS = 5


def fit_encoder(
    trials: Trials,
    parts: dict[str, np.ndarray],
    stored: PreprocessingConfig,
    targets: dict[str, Target],
    options: TrainOptions,
    out: Path | None = None,
    after_epoch: Callable[[int, EegEncoder], None] | None = None,
) -> EegEncoder:
    """Return an encoder fitted to `parts["train"]` and calibrated; the test split is never looked at.

    stored: the store's preprocessing. out: the run's folder, needed for gradient descent. Raises ValueError for
    options that do not fit together or trials that are too few.
    """
    encoder = build_for(trials, parts["train"], stored, options, targets)
    trials = by_sessions(trials, encoder.normaliser)
    if options.stages.contrastive.epochs:
        from .contrastive import check_contrastive

        check_contrastive(encoder)
    closed_form = encoder_named(encoder.architecture).fit is not None
    if closed_form and any(needs_network(head) for head in encoder.heads):
        train = trials_in_training(trials, parts["train"], options.data)
        fit_backbone(encoder, encode_ready(encoder, train.eeg), torch.from_numpy(train.label))
        closed_form = False
    if closed_form:
        train = trials_in_training(trials, parts["train"], options.data)
        _closed_form(encoder, train, targets)
        if not len(parts["val"]):
            if options.data.test_average == "same":
                _calibrate_by_folds(encoder, train, stored, targets, options)
            else:
                _calibrate_at_use(encoder, trials.select(parts["train"]), stored, targets, options)
            return encoder.eval()
    else:
        from .loop import train_loop

        if out is None:
            raise ValueError(f"{encoder.architecture!r} is trained by gradient descent and needs a run folder (--out)")
        if options.stages.contrastive.epochs:
            from .contrastive import train_contrastive

            train_contrastive(encoder, trials, parts, options, out)
        train_loop(encoder, trials, parts, targets, options, out, after_epoch)
        if options.stages.gan.epochs:
            from .gan import train_gan

            train_gan(encoder, trials, parts, targets, options, out)
    held_out = trials_at_use(trials, parts["val"], options.data)
    if len(held_out):
        label = torch.from_numpy(held_out.label)
        calibrate(encoder, predict(encoder, held_out.eeg), label, _rows(targets, held_out))
    return encoder.eval()


def _closed_form(encoder: EegEncoder, train: Trials, targets: dict[str, Target]) -> None:
    """Fit an encoder's buffers and heads to averaged or single trials."""
    groups = folds(train)
    values = {space: target.values[torch.from_numpy(target.rows(train))] for space, target in targets.items()}
    label = torch.from_numpy(train.label)
    fit_closed_form(encoder, encode_ready(encoder, train.eeg), label, values, torch.from_numpy(groups))


def folds(trials: Trials) -> np.ndarray:
    """Return which of at most a few folds each trial belongs to (n,): its run where there are several, else five
    groups of pictures.
    """
    _, runs = trials.select_columns(np.arange(len(trials))).groups("subject", "session", "run")
    n_pictures = len(np.unique(trials.image_id))
    if n_pictures <= 2 * len(trials.labels) and runs.max() + 1 > 1:
        return runs
    _, pictures = np.unique(trials.image_id, return_inverse=True)
    if n_pictures >= N_FOLDS:
        return pictures.reshape(-1) % N_FOLDS
    return np.arange(len(trials)) % N_FOLDS


def _calibrate_by_folds(
    encoder: EegEncoder,
    train: Trials,
    stored: PreprocessingConfig,
    targets: dict[str, Target],
    options: TrainOptions,
) -> None:
    """Calibrate without a validation split: from predictions of fits that left each fold out.

    Sessions have been brought together before, by statistics of the whole training split.
    """
    options = with_flags(options, normalise="pooled")

    def outputs_without(left_out: torch.Tensor) -> dict[str, torch.Tensor]:
        part = train.select(~left_out.numpy())
        fold = build_for(part, np.arange(len(part)), stored, options, targets)
        _closed_form(fold, part, targets)
        return predict(fold, np.asarray(train.eeg[left_out.numpy()]))

    found = out_of_fold(outputs_without, torch.from_numpy(folds(train)))
    calibrate(encoder, found, torch.from_numpy(train.label), _rows(targets, train))


def _calibrate_at_use(
    encoder: EegEncoder,
    train: Trials,
    stored: PreprocessingConfig,
    targets: dict[str, Target],
    options: TrainOptions,
) -> None:
    """Calibrate as `_calibrate_by_folds`, each fold's single presentations averaged as they are at use, not as they are
    in training.
    """
    options, groups = with_flags(options, normalise="pooled"), folds(train)
    outputs: dict[str, list[torch.Tensor]] = {space: [] for space in encoder.spaces}
    labels, rows = [], {space: [] for space in targets}
    for group in np.unique(groups):
        part = trials_in_training(train, np.flatnonzero(groups != group), options.data)
        held = trials_at_use(train, np.flatnonzero(groups == group), options.data)
        fold = build_for(part, np.arange(len(part)), stored, options, targets)
        _closed_form(fold, part, targets)
        for space, output in predict(fold, held.eeg).items():
            outputs[space].append(output)
        labels.append(torch.from_numpy(held.label))
        for space, target in targets.items():
            rows[space].append(target.rows(held))
    wanted = {space: (target.values, np.concatenate(rows[space])) for space, target in targets.items()}
    calibrate(encoder, {space: torch.cat(of) for space, of in outputs.items()}, torch.cat(labels), wanted)


def _rows(targets: dict[str, Target], trials: Trials) -> dict[str, tuple[torch.Tensor, np.ndarray]]:
    return {space: (target.values, target.rows(trials)) for space, target in targets.items()}
