"""Fitting an encoder to a store's training split: closed form or gradient descent, then calibration on trials it never
saw.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from core.encoders import encoder_named
from core.fitting.closed_form import fit_backbone, fit_closed_form, needs_network
from core.model.checkpoint import EegEncoder
from core.model.prediction import encode_ready
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.session_normaliser import by_sessions
from core.preprocessing.trials import Trials

from ..calibration.left_out import LeftOutTrials, evidence_of
from ..config.flags import with_flags
from ..config.options import TrainOptions
from ..store.narrowed import as_read, narrowed
from ..targets.mixes.picture_side import save_sides, settled, sides_of, with_sides
from ..targets.target import Target
from .build import build_for
from .run_folder import tell
from .splits import subjects_of, trials_at_use, trials_in_training, without_artefacts, without_test

N_FOLDS = 5


def fit_encoder(
    trials: Trials,
    parts: dict[str, np.ndarray],
    stored: PreprocessingConfig,
    targets: dict[str, Target],
    options: TrainOptions,
    out: Path | None = None,
    after_epoch: Callable[[int, EegEncoder], None] | None = None,
    calibrated: bool = True,
) -> EegEncoder:
    """Return an encoder fitted to `parts["train"]` and calibrated; the test split is never looked at.

    stored: the store's preprocessing. out: the run's folder, needed for gradient descent. calibrated: whether
    probabilities are asked for; where only the order of answers is, a closed form is done in half the time without.
    Raises ValueError for options that do not fit together or trials that are too few.
    """
    trials, parts, targets = without_test(trials, parts, targets)
    trials, stored = narrowed(trials, stored, options.data.channels, options.data.window)
    parts, rejected = without_artefacts(trials, parts, options.data)
    if rejected:
        tell(rejected)
    targets = with_sides(targets, options.targets, len(subjects_of(trials, parts["train"])), options.training.seed)
    encoder = build_for(trials, parts["train"], stored, options, targets)
    if calibrated:
        encoder.evidence = evidence_of(trials, parts["train"], encoder)
    trials = by_sessions(trials, encoder.normaliser)
    if options.stages.contrastive.epochs:
        from .contrastive import check_contrastive

        check_contrastive(encoder)
    closed_form = encoder_named(encoder.architecture).fit is not None
    if closed_form and (sides_of(targets) or any(head.config.compare for head in encoder.heads)):
        raise ValueError(
            f"--compare-width and --mix are learned by gradient descent, and {encoder.architecture!r} is fitted in "
            "closed form"
        )
    if closed_form and any(needs_network(head) for head in encoder.heads):
        train = _training(trials, parts["train"], options)
        fit_backbone(encoder, encode_ready(encoder, train.eeg), torch.from_numpy(train.label))
        closed_form = False
    if closed_form:
        train = _training(trials, parts["train"], options)
        strengths = _closed_form(encoder, train, targets)
        if not len(parts["val"]):
            if calibrated:
                _calibrate_by_folds(encoder, trials.unread(parts["train"]), stored, targets, options, strengths)
            return encoder.eval()
    else:
        from .loop import train_loop

        if out is None:
            raise ValueError(f"{encoder.architecture!r} is trained by gradient descent and needs a run folder (--out)")
        if options.stages.contrastive.epochs:
            from .contrastive import train_contrastive

            train_contrastive(encoder, trials, parts, options, out)
        train_loop(encoder, trials, parts, targets, options, out, after_epoch)
        save_sides(out, targets)
        mixed = sides_of(targets)
        targets = settled(targets)
        keep_galleries(encoder, trials, parts["train"], targets, set(mixed))
        if options.stages.gan.epochs:
            from .gan import train_gan

            train_gan(encoder, trials, parts, targets, options, out)
    if calibrated:
        left_out = LeftOutTrials(targets)
        left_out.add(encoder, trials, parts["val"], trials_at_use(trials, parts["val"], options.data))
        left_out.calibrate(encoder)
    return encoder.eval()


def keep_galleries(
    encoder: EegEncoder, trials: Trials, train: np.ndarray, targets: dict[str, Target], mixed: set[str]
) -> None:
    """Store the training targets anew where the training has changed them (`mixed` spaces) or how they are compared."""
    for head in encoder.heads:
        if (head.config.compare or head.config.space in mixed) and head.config.concepts:
            target = targets[head.config.space]
            head.keep_gallery(target.values[np.unique(target.rows(trials.select_columns(train)))])


def recalibrate(
    encoder: EegEncoder,
    trials: Trials,
    parts: dict[str, np.ndarray],
    stored: PreprocessingConfig,
    targets: dict[str, Target],
    options: TrainOptions,
) -> None:
    """Make evidence and calibration of a fitted encoder anew, from the trials and the split it was fitted to; what its
    network and its linear maps answer stays as it is.

    Raises ValueError for an encoder that gradient descent fitted where no validation split is left.
    """
    trials, stored = as_read(trials, stored, encoder.preprocessing), encoder.preprocessing
    encoder.evidence = evidence_of(trials, parts["train"], encoder)
    trials = by_sessions(trials, encoder.normaliser)
    if len(parts["val"]):
        left_out = LeftOutTrials(targets)
        left_out.add(encoder, trials, parts["val"], trials_at_use(trials, parts["val"], options.data))
        left_out.calibrate(encoder)
    elif encoder_named(encoder.architecture).fit is not None and not any(needs_network(h) for h in encoder.heads):
        _calibrate_by_folds(encoder, trials.unread(parts["train"]), stored, targets, options, None)
    else:
        raise ValueError(f"{encoder.architecture!r} is calibrated on a validation split, and there is none")


def _training(trials: Trials, rows: np.ndarray, options: TrainOptions) -> Trials:
    """Return what a closed form is fitted to; windows that are not averaged stay on disk until they are normalised."""
    return trials.unread(rows) if options.data.average == "none" else trials_in_training(trials, rows, options.data)


def _closed_form(
    encoder: EegEncoder, train: Trials, targets: dict[str, Target], strengths: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Fit an encoder's buffers and heads to averaged or single trials; return the ridges' strengths, chosen unless
    given.
    """
    groups = folds(train)
    values = {space: target.values[torch.from_numpy(target.rows(train))] for space, target in targets.items()}
    label = torch.from_numpy(train.label)
    eeg = encode_ready(encoder, train.eeg)
    return fit_closed_form(encoder, eeg, label, values, torch.from_numpy(groups), strengths)


def folds(trials: Trials) -> np.ndarray:
    """Return which of at most five folds each trial belongs to (n,): its run where there are several, neighbouring
    ones together where there are more, else five groups of pictures, else stretches of the run.

    Each fold is a fit, so that a number that grows with the runs would make an evaluation by runs grow with their
    square, and more with every level of choices inside one another.
    """
    _, runs = trials.select_columns(np.arange(len(trials))).groups("subject", "session", "run")
    n_pictures, n_runs = len(np.unique(trials.image_id)), int(runs.max()) + 1
    if n_pictures <= 2 * len(trials.labels) and n_runs > 1:
        return runs * min(n_runs, N_FOLDS) // n_runs
    _, pictures = np.unique(trials.image_id, return_inverse=True)
    if n_pictures >= N_FOLDS:
        return pictures.reshape(-1) % N_FOLDS
    # Neighbours share slow drifts and may overlap; where each stretch shows every label, stretches are left out.
    stretches = np.argsort(np.argsort(trials.onset, kind="stable"), kind="stable") * N_FOLDS // max(len(trials), 1)
    n_labels = len(np.unique(trials.label))
    whole = all(len(np.unique(trials.label[stretches == number])) == n_labels for number in range(N_FOLDS))
    return stretches if whole and n_runs == 1 else np.arange(len(trials)) % N_FOLDS


def _calibrate_by_folds(
    encoder: EegEncoder,
    train: Trials,
    stored: PreprocessingConfig,
    targets: dict[str, Target],
    options: TrainOptions,
    strengths: Mapping[str, float] | None,
) -> None:
    """Calibrate without a validation split: from predictions of fits that left each fold out, with the ridges'
    strengths of the whole training split (None: chosen anew), its trials averaged as they are at use.

    Sessions have been brought together before, by statistics of the whole training split.
    """
    options, groups = with_flags(options, normalise="pooled"), folds(train)
    left_out = LeftOutTrials(targets)
    for number, group in enumerate(np.unique(groups)):
        part = _training(train, np.flatnonzero(groups != group), options)
        fold = build_for(part, np.arange(len(part)), stored, options, targets)
        _closed_form(fold, part, targets, strengths)
        rows = np.flatnonzero(groups == group)
        left_out.add(fold, train, rows, trials_at_use(train, rows, options.data), number)
    left_out.calibrate(encoder)
