"""An encoder for one person and one headset, fitted in seconds to a recording with labelled events, with its score."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..choices import PERSONAL_ARCHITECTURES
from ..encoders import config_for, encoder_named
from ..leaks.check import check_lines, that_leak, verdict
from ..leaks.one_recording import checks_of_recording
from ..model.build_context import context_of
from ..model.checkpoint import EegEncoder
from ..model.heads import HeadConfig
from ..model.prediction import encode_ready, predict
from ..model.spaces import EncodePrompts
from ..preprocessing.config import PreprocessingConfig
from ..preprocessing.normaliser import fit_normaliser
from ..recording import Recording
from ..scoring.halves import agreement_of, halves_of, mean_agreement
from ..scoring.permutations import usual_spread
from ..scoring.personal_scores import score_line, scores_of, units_in_time, warnings_of
from ..scoring.retrieval import similarities
from .calibration import calibrate
from .captions import one_label_a_caption
from .closed_form import fit_closed_form, out_of_fold
from .evidence import fit_evidence
from .labelled_windows import MIN_PER_LABEL, N_FOLDS, labelled_windows, one_person
from .means import Means
from .text_targets import Progress, text_targets

MAX_SCORED = 600  # events the score is taken from, evenly spread: text states of more would fill the memory
MAX_RANK = 32


@dataclass(frozen=True)
class Personal:
    """A fitted encoder, readable lines about it, and its cross-validated accuracy, balanced over labels."""

    encoder: EegEncoder
    report: str
    accuracy: float
    figures: dict[str, float]


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

    captions: what each label means; empty takes every label as its own caption, labels of one caption count as one.
    tmin, tmax: seconds about an event. l_freq, h_freq: hertz. text_states: also regress the checkpoint's text states of
    the captions, which needs `encode_prompts`. The score is that of five contiguous stretches of the recording, each
    decoded by an encoder that saw the others only; the p-value shuffles labels inside stretches (`scores_of`).

    Raises ValueError where labels or events are too few or a label's events all lie in one fifth, a label of `captions`
    does not occur, or the text encoder is
    of a family that has no head for text states.
    """
    if architecture not in PERSONAL_ARCHITECTURES:
        raise ValueError(f"no architecture {architecture!r} for this; known: {', '.join(PERSONAL_ARCHITECTURES)}")
    report = progress or (lambda done, total: None)
    steps = 3 + 2 * N_FOLDS
    report(0, steps)
    recording, captions = one_label_a_caption(recording, captions or {})
    data = labelled_windows(
        recording,
        captions,
        tmin=tmin,
        tmax=tmax,
        l_freq=l_freq,
        h_freq=h_freq,
        architecture=architecture,
        min_per_label=1 if text_states else MIN_PER_LABEL,
    )
    labels, label, fold = data.labels, data.label, data.fold()
    row = encoder_named(architecture)
    for number in np.unique(fold) if row.fit_reads_labels or "classes" in row.needs else ():
        if gone := sorted(set(label.tolist()) - set(label[fold != number].tolist())):
            raise ValueError(
                f"all events {labels[gone[0]]!r} lie in one fifth of the recording, which is left out to score the "
                "encoder; show the labels in turn, or record longer"
            )
    words = tuple(captions.get(one, one) for one in labels)
    report(1, steps)
    targets = {} if not text_states else text_targets(words, encode_prompts, report, steps)
    scored = np.unique(np.linspace(0, len(label) - 1, MAX_SCORED).round().astype(int))
    recipe = _Recipe(data.config, architecture, words, targets)
    means, done = Means(targets), 1

    def kept_without(number: int) -> np.ndarray:
        return np.flatnonzero((fold != number) & data.apart_from(fold == number))

    def fitted_without(left_out: Tensor, given: np.ndarray) -> tuple[np.ndarray, EegEncoder]:
        nonlocal done
        rows = scored[left_out.numpy()]
        done = min(done + 1, steps - 2)
        report(done, steps)
        kept = kept_without(int(fold[rows[0]]))
        return rows, _fit(recipe, data.eeg[kept], given[kept], fold[kept])

    def outputs_without(left_out: Tensor) -> dict[str, Tensor]:
        rows, fitted = fitted_without(left_out, label)
        means.add(fitted, data.eeg[rows], label[rows], int(fold[rows[0]]))
        return predict(fitted, data.eeg[rows])

    def refit(given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        def outputs(left_out: Tensor) -> dict[str, Tensor]:
            rows, fitted = fitted_without(left_out, given)
            return predict(fitted, data.eeg[rows])

        return out_of_fold(outputs, torch.from_numpy(fold[scored]))["prompts"].numpy(), given[scored]

    def halves_agree() -> float | None:
        found, unit = [], units_in_time(label, len(labels), fold).unit
        for number in np.unique(fold[scored])[::2]:
            rows, kept = scored[fold[scored] == number], kept_without(int(number))
            half = halves_of(label[kept], unit[kept])
            try:
                pair = [_fit(recipe, data.eeg[kept[one]], label[kept[one]], fold[kept[one]]) for one in (half, ~half)]
            except ValueError:  # a half lacks a label, or a fold inside it does
                return None
            answers = [predict(one, data.eeg[rows])["prompts"].numpy() for one in pair]
            found += [agreement_of(a, b, label[rows]) for a, b in zip(answers[0].T, answers[1].T, strict=True)]
        return mean_agreement(found, len(scored))

    held_out = out_of_fold(outputs_without, torch.from_numpy(fold[scored]))
    encoder = _fit(recipe, data.eeg, label, fold)
    encoder.evidence = fit_evidence(data.eeg, np.zeros(len(label), dtype=np.int64), data.config)
    truth = label[scored]
    calibrate(
        encoder,
        held_out,
        torch.from_numpy(truth),
        {space: (values, truth) for space, values in targets.items()},
        run=fold[scored],
        others=means.left_out(),
        nothing=means.nothing(),
    )
    main = encoder.head()
    logits = held_out[main.config.space]
    if main.config.kind != "prompts":
        logits = similarities(main.comparable(logits), main.comparable(targets[main.config.space]))
    # text states are too wide to be fitted to shuffled labels again and again: there the widest null is taken
    usual = usual_spread(row.fit_reads_labels)
    figures = scores_of(
        logits.numpy(),
        truth,
        fold[scored],
        None if targets else refit,
        label,
        usual,
        None if targets else halves_agree(),
    )
    report(steps - 1, steps)
    score = score_line(figures)
    leaks = checks_of_recording(recording, data.eeg, label, labels, data.onset, data.config)
    leak_line = verdict(leaks, [figures])
    if encoder.evidence is not None:
        encoder.evidence = replace(encoder.evidence, leaks=that_leak(leaks), labels=tuple(labels))
    lines = [*warnings_of(figures, label, labels), score, *data.notes, *check_lines(leaks)]
    encoder.card = {
        "name": name,
        "summary": "fitted in closed form to one recording; works for the person and headset it was fitted on",
        "data": recording.source.get("file", "a recording"),
        "split": f"{N_FOLDS} contiguous stretches, each left out once",
        "metrics": {"cross-validated": score, "leak checks": leak_line},
    }
    if any("simulated" in str(note) for note in recording.source.get("notes", ())):
        encoder.card["simulated"] = True
    head = (
        f"{name}: {architecture} on {len(data.config.ch_names)} channels, {len(label)} events of {len(labels)} labels"
    )
    report(steps, steps)
    return Personal(encoder.eval(), "\n".join([leak_line, head, *lines]), figures["accuracy"], figures)


@dataclass(frozen=True)
class _Recipe:
    """What every fit of one call shares; `targets` by space (n_labels, n_values)."""

    config: PreprocessingConfig
    architecture: str
    prompts: tuple[str, ...]
    targets: dict[str, Tensor]


def _fit(recipe: _Recipe, eeg: np.ndarray, label: np.ndarray, fold: np.ndarray) -> EegEncoder:
    """Return an encoder fitted to windows in volts; labels that a fit does not see keep their prompt."""
    context = context_of(recipe.config, n_classes=len(recipe.prompts))
    settings = one_person(recipe.architecture).settings(context)
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
