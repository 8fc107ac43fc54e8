"""An encoder for one person and one headset, fitted in seconds to a recording with labelled events, with its score."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..choices import PERSONAL_ARCHITECTURES
from ..encoders import OnePerson, config_for, encoder_named
from ..model.build_context import context_of
from ..model.checkpoint import EegEncoder
from ..model.heads import HeadConfig
from ..model.prediction import encode_ready, predict
from ..model.spaces import SPACES, EncodePrompts
from ..preprocessing.config import PreprocessingConfig
from ..preprocessing.continuous import prepare_continuous
from ..preprocessing.normaliser import fit_normaliser
from ..preprocessing.windows import cut_windows
from ..recording import Recording
from ..scoring.personal_scores import score_line, scores_of, warnings_of
from ..scoring.retrieval import similarities
from .calibration import calibrate
from .closed_form import fit_closed_form, out_of_fold

MAX_SFREQ = 128.0  # responses end below 45 Hz; more samples only cost time
MIN_EVENTS, MIN_PER_LABEL, MAX_LABELS = 20, 5, 1000
MAX_SCORED = 600  # events the score is taken from, evenly spread: text states of more would fill the memory
N_FOLDS, MAX_RANK = 5, 32
ARTEFACT = 5.0  # times the median peak-to-peak amplitude
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Personal:
    """A fitted encoder, readable lines about it, and its cross-validated accuracy, balanced over labels."""

    encoder: EegEncoder
    report: str
    accuracy: float
    figures: dict[str, float]


def parse_captions(text: str) -> dict[str, str]:
    """Return captions by label from lines such as `face = a portrait photo`; ValueError for a line without `=`."""
    captions: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        label, equals, caption = line.partition("=")
        if not equals or not label.strip() or not caption.strip():
            raise ValueError(f"cannot read the line {line.strip()!r}; write `label = what it means`, one a line")
        if label.strip() in captions:
            raise ValueError(f"the label {label.strip()!r} has two captions; give each label one line")
        captions[label.strip()] = caption.strip()
    return captions


def fit_personal_encoder(
    recording: Recording,
    captions: Mapping[str, str] | None = None,
    *,
    architecture: str = "tangent",
    tmin: float = -0.1,
    tmax: float = 0.8,
    l_freq: float | None = 1.0,
    h_freq: float | None = 30.0,
    text_states: bool = False,
    encode_prompts: EncodePrompts | None = None,
    name: str = "my encoder",
    progress: Progress | None = None,
) -> Personal:
    """Fit an encoder to a recording's labelled events by ridge regression, and score it on stretches left out.

    captions: what each label means; empty takes every label as its own caption. tmin, tmax: seconds about an event.
    l_freq, h_freq: hertz. text_states: also regress the checkpoint's text states of the captions, which needs
    `encode_prompts`. The score is that of five contiguous stretches of the recording, each decoded by an encoder that
    saw the others only; the p-value shuffles labels inside stretches.

    Raises ValueError where labels or events are too few, a label of `captions` does not occur, or the text encoder is
    of a family that has no head for text states.
    """
    if architecture not in PERSONAL_ARCHITECTURES:
        raise ValueError(f"no architecture {architecture!r} for this; known: {', '.join(PERSONAL_ARCHITECTURES)}")
    report = progress or (lambda done, total: None)
    steps = 3 + N_FOLDS
    report(0, steps)
    labels, eeg, label, onsets, config, notes = _labelled_windows(
        recording, dict(captions or {}), tmin, tmax, l_freq, h_freq, architecture, 1 if text_states else MIN_PER_LABEL
    )
    words = tuple((captions or {}).get(one, one) for one in labels)
    report(1, steps)
    targets = {} if not text_states else text_targets(words, encode_prompts, report, steps)
    fold = contiguous_folds(len(label))
    scored = np.unique(np.linspace(0, len(label) - 1, MAX_SCORED).round().astype(int))
    recipe = _Recipe(config, architecture, words, targets)

    def outputs_without(left_out: Tensor) -> dict[str, Tensor]:
        rows = scored[left_out.numpy()]
        report(2 + int(fold[rows[0]]), steps)
        kept = (fold != fold[rows[0]]) & _apart(onsets, onsets[fold == fold[rows[0]]], config)
        fitted = _fit(recipe, eeg[kept], label[kept], fold[kept])
        return predict(fitted, eeg[rows])

    held_out = out_of_fold(outputs_without, torch.from_numpy(fold[scored]))
    encoder = _fit(recipe, eeg, label, fold)
    truth = label[scored]
    calibrate(encoder, held_out, torch.from_numpy(truth), {space: (values, truth) for space, values in targets.items()})
    report(steps - 1, steps)
    main = encoder.head()
    logits = held_out[main.config.space]
    if main.config.kind != "prompts":
        logits = similarities(main.comparable(logits), main.comparable(targets[main.config.space]))
    figures = scores_of(logits.numpy(), truth, fold[scored])
    score = score_line(figures)
    lines = [*warnings_of(figures, label, labels), score, *notes]
    encoder.card = {
        "name": name,
        "summary": "fitted in closed form to one recording; works for the person and headset it was fitted on",
        "data": recording.source.get("file", "a recording"),
        "split": f"{N_FOLDS} contiguous stretches, each left out once",
        "metrics": {"cross-validated": score},
    }
    if any("simulated" in str(note) for note in recording.source.get("notes", ())):
        encoder.card["simulated"] = True
    head = f"{name}: {architecture} on {len(config.ch_names)} channels, {len(label)} events of {len(labels)} labels"
    report(steps, steps)
    return Personal(encoder.eval(), "\n".join([head, *lines]), figures["accuracy"], figures)


@dataclass(frozen=True)
class _Recipe:
    """What every fit of one call shares; `targets` by space (n_labels, n_values)."""

    config: PreprocessingConfig
    architecture: str
    prompts: tuple[str, ...]
    targets: dict[str, Tensor]


def _labelled_windows(
    recording: Recording,
    captions: dict[str, str],
    tmin: float,
    tmax: float,
    l_freq: float | None,
    h_freq: float | None,
    architecture: str,
    min_per_label: int,
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray, PreprocessingConfig, list[str]]:
    """Return the labels, windows in volts (n, channels, times), each one's label and onset, the config and notes."""
    counted = Counter(event.label for event in recording.events)
    listed = ", ".join(f"{one!r} x {n}" for one, n in counted.most_common(20)) or "none"
    if absent := [one for one in captions if one not in counted]:
        raise ValueError(f"no event is labelled {absent[0]!r}; this recording's events: {listed}")
    labels = tuple(captions) if captions else tuple(sorted(counted))
    if not 2 <= len(labels) <= MAX_LABELS:
        raise ValueError(f"an encoder needs 2 to {MAX_LABELS} labels to tell apart; this recording's events: {listed}")
    setup = _setup(architecture)
    config = PreprocessingConfig(
        ch_names=recording.ch_names,
        sfreq=min(recording.sfreq, MAX_SFREQ),
        tmin=tmin,
        tmax=tmax,
        l_freq=l_freq,
        h_freq=h_freq,
        baseline=(tmin, 0.0) if setup.baseline and tmin < 0 < tmax else None,
        scaling=setup.scaling,
        ch_positions=_positions(recording),
    )
    chosen = [event for event in sorted(recording.events, key=lambda e: e.onset) if event.label in labels]
    windows = cut_windows(
        prepare_continuous(recording, config), [event.onset for event in chosen], config, keep_rejected=True
    )
    kept_events = [event for event, kept in zip(chosen, windows.kept, strict=True) if kept]
    # Above several times what is usual lie blinks, coughs and loose electrodes, whatever the headset's scale.
    peaks_uv = np.ptp(windows.data, axis=2).max(axis=1) * 1e6 if len(windows.data) else np.zeros(0)
    limit = float(ARTEFACT * np.median(peaks_uv)) if len(peaks_uv) else 0.0
    clean = peaks_uv <= limit
    config = replace(config, reject_uv=round(limit, 3) or None)
    label = np.array([labels.index(event.label) for event in kept_events], dtype=np.int64)[clean]
    counts = np.bincount(label, minlength=len(labels))
    if len(label) < MIN_EVENTS or counts.min() < min_per_label:
        few = ", ".join(f"{one!r} x {n}" for one, n in zip(labels, counts, strict=True) if n < min_per_label)
        raise ValueError(
            f"{len(label)} usable events are too few: {MIN_EVENTS} in all and {min_per_label} of each label are needed"
            + (f", but there are {few[:200]}" if few else "")
            + f". This recording's events: {listed[:600]}"
        )
    lost = len(chosen) - len(label)
    notes = [f"{lost} of {len(chosen)} windows left out (edges, gaps, over {limit:.0f} µV)"] if lost else []
    onsets = np.array([event.onset for event in kept_events])[clean]
    return labels, windows.data[clean], label, onsets, config, notes


def _setup(architecture: str) -> OnePerson:
    setup = encoder_named(architecture).one_person
    assert setup is not None
    return setup


def _positions(recording: Recording) -> tuple[tuple[float, float, float], ...] | None:
    known = recording.ch_positions
    if known is None or not np.isfinite(known).all():
        return None
    return tuple((float(x), float(y), float(z)) for x, y, z in known)


def text_targets(
    prompts: tuple[str, ...], encode_prompts: EncodePrompts | None, progress: Progress, steps: int
) -> dict[str, Tensor]:
    """Return the checkpoint's text states of the captions as flat targets (n_prompts, n_values), by their space's name.

    Raises ValueError without a text encoder, or with one whose states no text space holds.
    """
    if encode_prompts is None:
        raise ValueError("text states need the checkpoint's text encoder: connect its CLIP, or take `prompts` alone")
    encoded = []
    for prompt in prompts:
        progress(1, steps)  # where the user may cancel
        encoded.append(encode_prompts([prompt]))
    if len(widest := {tuple(context.shape[1:]) for context, _ in encoded}) > 1:
        raise ValueError(f"the captions' text states differ in length {sorted(widest)}; shorten the longest caption")
    context = torch.cat([one.detach().float().cpu() for one, _ in encoded])
    for space in SPACES.values():
        if space.kind == "text" and space.shape == tuple(context.shape[1:]):
            parts = [context.flatten(1)]
            if space.pooled:
                parts.append(torch.cat([pooled.detach().float().cpu() for _, pooled in encoded if pooled is not None]))
            return {space.name: torch.cat(parts, dim=1)}
    shape = " x ".join(map(str, context.shape[1:]))
    known = ", ".join(f"{s.name} {' x '.join(map(str, s.shape or ()))}" for s in SPACES.values() if s.kind == "text")
    raise ValueError(
        f"this text encoder gives {shape}; text states can be {known}. Take `prompts`, which fits every family"
    )


def contiguous_folds(n: int, n_folds: int = N_FOLDS) -> np.ndarray:
    """Return which of `n_folds` stretches each of n events in order of time lies in (n,).

    Neighbours in time share slow drifts, so leaving out every fifth event would leak.
    """
    return np.arange(n) * n_folds // n


def _apart(onsets: np.ndarray, left_out: np.ndarray, config: PreprocessingConfig) -> np.ndarray:
    """Return which events' windows do not touch those of the left-out stretch."""
    length = config.tmax - config.tmin
    return (onsets < left_out.min() - length) | (onsets > left_out.max() + length)


def _fit(recipe: _Recipe, eeg: np.ndarray, label: np.ndarray, fold: np.ndarray) -> EegEncoder:
    """Return an encoder fitted to windows in volts; labels that a fit does not see keep their prompt."""
    context = context_of(recipe.config, n_classes=len(recipe.prompts))
    settings = _setup(recipe.architecture).settings(context)
    rank = max(1, min(len(recipe.prompts) - 1, MAX_RANK))
    heads = [HeadConfig(space, "basis", rank=rank, concepts=recipe.prompts) for space in recipe.targets]
    heads.append(HeadConfig("prompts", "prompts", prompts=recipe.prompts))
    encoder = EegEncoder(
        recipe.config,
        fit_normaliser(eeg, recipe.config, label),
        recipe.architecture,
        config_for(recipe.architecture, context, settings),
        heads,
    )
    for space, values in recipe.targets.items():
        head = encoder.head(space)
        head.set_target(values)
        head.gallery.copy_(head.comparable(values))
    chosen = torch.from_numpy(label)
    wanted = {space: values[chosen] for space, values in recipe.targets.items()}
    fit_closed_form(encoder, encode_ready(encoder, eeg), chosen, wanted, torch.from_numpy(fold))
    return encoder
