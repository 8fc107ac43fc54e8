"""Is anything decodable here? What a recording shows an encoder, held against what its training did."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..evidence.association import MAX_ASKED, association_p, passing_level
from ..evidence.background import MAX_WINDOWS, background, layout_of, spread_evenly
from ..evidence.likeness import distance_parts, limit_of, together, unlike
from ..evidence.locking import MIN_MOMENTS, Locked, filter_recording, filter_windows, locked_to, locked_trials
from ..evidence.scores import scores_level, scores_p
from ..preprocessing.config import PreprocessingConfig
from ..preprocessing.selection import Selection, prepared, selected_eeg, that_fit
from ..preprocessing.windows import cut_windows
from ..recording import Recording
from .checkpoint import EegEncoder
from .confidence import confidence_score
from .heads import Head
from .prediction import predict

LEVEL, SURE = 0.05, 0.02  # the p-values at which the gate begins to open, and is open
FURTHEST = 1.4  # times the limit: from there on the gate is shut
USEFUL = 0.5  # of the level of a test of the decoder's answers: above it the test tells too little to be made
PEAK = (0.6, 0.8)  # of the largest mean response near the moments: shut below, open above
ENOUGH_WINDOWS = 30  # that a recording's background is told from; fewer moments take others of the recording too
_KEPT: weakref.WeakKeyDictionary[Recording, list[tuple[weakref.ref[EegEncoder], tuple[object, ...], Decodable]]] = (
    weakref.WeakKeyDictionary()
)
MAX_WIDTH = 64  # numbers an answer is compared by
KEPT = 4  # judgements a recording


@dataclass(frozen=True)
class Decodable:
    """Whether anything is decodable in a recording or a set of windows.

    gate: in [0, 1], what stands between the calibrated probability of being right and guessing. p_value: that windows
    of no meaning would look as much like what was trained on; None where that cannot be told. likeness: the distance of
    the recording from those of training over the largest that counts as like them; above 1 it is unlike. reasons:
    sentences, the decisive one first. knows: False for an encoder that keeps no evidence, or whose own training showed
    it to know nothing: its confidence is then 0.
    """

    gate: float
    p_value: float | None = None
    likeness: float | None = None
    reasons: tuple[str, ...] = ()
    knows: bool = True

    @property
    def is_decodable(self) -> bool:
        """Whether windows count as decodable: p is well below 0.05 and the recording like those of training."""
        return self.gate >= 0.5

    @property
    def word(self) -> str:
        """The judgement in a word or two: yes, perhaps, no, cannot tell."""
        if not self.knows:
            return "cannot tell"
        return "yes" if self.gate >= 1 else "perhaps" if self.gate > 0 else "no"

    def line(self) -> str:
        """Return the judgement as one readable line."""
        p = "" if self.p_value is None or not self.knows else f" (p = {self.p_value:.2g})"
        counted = f", counted as {self.gate:.2f}" if 0 < self.gate < 1 else ""
        return f"anything decodable here: {self.word}{counted}{p}" + "".join(f"; {reason}" for reason in self.reasons)


UNKNOWN = Decodable(
    0.0,
    reasons=(
        "this encoder's file keeps no evidence of its training (it is of an older version, or had too little data), so "
        "it cannot tell whether it reads anything: treat as no decoding, or make the encoder anew",
    ),
    knows=False,
)
UNASKED = Decodable(0.0, reasons=("the recording was not looked at",), knows=False)


def decodable(encoder: EegEncoder, selection: Selection) -> Decodable:
    """Judge whether a selection's recording holds anything for an encoder at the selected moments.

    Asked are all selected moments together, averaged or not, and where all of them are events, the recording's other
    events with the same labels too: one window alone tells little. The answer is kept as long as the recording lives.
    """
    if (known := unable(encoder)) is not None:
        return known
    moments, labels = _pool(selection)
    key = (id(encoder.evidence), moments.tobytes(), labels, selection.groups)
    kept = _KEPT.setdefault(selection.recording, [])
    for of, its_key, found in kept:
        if of() is encoder and its_key == key:
            return found
    found = _judge_recording(encoder, selection, moments, labels)
    kept.insert(0, (weakref.ref(encoder), key, found))
    del kept[KEPT:]
    return found


def decodable_windows(encoder: EegEncoder, eeg: np.ndarray, labels: np.ndarray | None = None) -> Decodable:
    """Judge single windows in volts (n, channels, times) that are of one recording, where the recording is not at hand.

    labels: (n,), what was shown; None where that is not known.
    """
    if (known := unable(encoder)) is not None:
        return known
    evidence = encoder.evidence
    assert evidence is not None
    if not len(eeg):
        return Decodable(0.0, reasons=("there are no windows",))
    locked = locked_trials(filter_windows(evidence.response, eeg), evidence.nothing)
    rows = spread_evenly(len(eeg), MAX_WINDOWS)
    return _judge(encoder, np.asarray(eeg[rows]), locked, *_asked(np.asarray(eeg), labels))


def unable(encoder: EegEncoder) -> Decodable | None:
    """Return the judgement of an encoder that cannot tell, or that knows nothing whatever it is fed; else None."""
    evidence = encoder.evidence
    if evidence is None:
        return UNKNOWN
    if evidence.leaks:
        return Decodable(
            0.0, reasons=(f"its training data failed a leak check ({', '.join(evidence.leaks)})",), knows=False
        )
    if (guess := min(evidence.guess_p.values(), default=1.0)) > LEVEL:
        why = f"on windows it was not fitted to it did no better than guessing (p = {guess:.2g})"
        return Decodable(0.0, reasons=(why,), knows=False)
    return None


def gate_of_p(p_value: float) -> float:
    """Return how far a p-value opens the gate: 0 from 0.05 up, 1 from 0.02 down, by its logarithm between."""
    return float(np.clip(math.log(LEVEL / max(p_value, 1e-300)) / math.log(LEVEL / SURE), 0.0, 1.0))


def _pool(selection: Selection) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Return the moments that are asked, and each one's label where all of them are events."""
    moments = [moment for group in selection.groups for moment in group]
    events: dict[int, str] = {}
    for event in selection.recording.events:
        events.setdefault(round(event.onset * 1e6), event.label)
    chosen = {events.get(round(moment * 1e6)) for moment in moments}
    if None in chosen:
        return np.unique(moments), None
    pool = sorted((event.onset, event.label) for event in selection.recording.events if event.label in chosen)
    return np.array([onset for onset, _ in pool]), tuple(label for _, label in pool)


def _judge_recording(
    encoder: EegEncoder, selection: Selection, moments: np.ndarray, labels: tuple[str, ...] | None
) -> Decodable:
    config, evidence = encoder.preprocessing, encoder.evidence
    assert evidence is not None
    ready = prepared(selection.recording, config)
    found = filter_recording(evidence.response, ready, config)
    locked = locked_to(found, ready, moments, config, evidence.nothing)
    rows = spread_evenly(len(moments), MAX_WINDOWS)
    of_moments = clean_windows(ready, moments[rows], config)
    seen = of_moments
    if len(seen) < ENOUGH_WINDOWS:
        seen = np.concatenate([seen, clean_windows(ready, other_moments(ready, config), config)])
    if not len(seen):
        return Decodable(0.0, reasons=("no window can be cut at these moments",))
    asked = spread_evenly(len(moments), MAX_ASKED)
    windows = cut_windows(ready, moments[asked], config, keep_rejected=True)
    clean = np.array([reason is None for reason in windows.reasons], dtype=bool)
    names = None if labels is None else np.array([labels[i] for i in asked])[clean]
    chosen = (selected_eeg(that_fit(selection, config), config), _repeats(that_fit(selection, config)))
    return _judge(encoder, seen, locked, *_asked(windows.data[clean[windows.kept]], names), chosen)


def _repeats(selection: Selection) -> np.ndarray:
    return np.array([len(group) for group in selection.groups])


def other_moments(ready: Recording, config: PreprocessingConfig) -> np.ndarray:
    """Return moments whose windows lie side by side over a whole recording, at most a few hundred of them."""
    length = config.n_times / config.sfreq
    moments = [
        start / ready.sfreq + number * length - config.tmin
        for start, stop in ready.spans
        for number in range(int((stop - start) / ready.sfreq / length))
    ]
    return np.array(moments)[spread_evenly(len(moments), MAX_WINDOWS)]


def clean_windows(ready: Recording, moments: np.ndarray, config: PreprocessingConfig) -> np.ndarray:
    """Return the windows (n, channels, times) at moments that can be cut, without artefacts where any is left."""
    if not len(moments) or config.n_times > ready.n_times + 1:
        return np.zeros((0, len(config.ch_names), config.n_times), np.float32)
    windows = cut_windows(ready, moments, config, keep_rejected=True)
    clean = np.array([reason is None for reason in windows.reasons], dtype=bool)[windows.kept]
    return windows.data[clean] if clean.any() else windows.data


def _asked(eeg: np.ndarray, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the windows that the decoder itself is asked about, and their labels as numbers, None where unknown."""
    rows = spread_evenly(len(eeg), MAX_ASKED)
    if labels is None or len(labels) != len(eeg):
        return eeg[rows], None
    return eeg[rows], np.unique(np.asarray(labels)[rows], return_inverse=True)[1].reshape(-1)


def answers_of(head: Head, output: Tensor) -> np.ndarray:
    """Return a head's raw outputs (n, ·) as answers (n, at most 64) that can be compared; longer ones are projected at
    random.
    """
    found = output.float()
    found = found - found.mean(1, keepdim=True) if head.config.kind == "prompts" else head.comparable(found)
    if found.shape[1] > MAX_WIDTH:
        drawn = torch.randn(found.shape[1], MAX_WIDTH, generator=torch.Generator().manual_seed(0))
        found = found @ drawn.to(found)
    return found.double().cpu().numpy()


def _judge(
    encoder: EegEncoder,
    seen: np.ndarray,
    locked: Locked,
    asked: np.ndarray,
    label: np.ndarray | None,
    chosen: tuple[np.ndarray, np.ndarray] | None = None,
) -> Decodable:
    config, evidence = encoder.preprocessing, encoder.evidence
    assert evidence is not None
    layout = layout_of(config)
    if not np.isfinite(seen).all():
        return Decodable(0.0, reasons=("the recording holds samples that are not numbers",))
    typical = np.median(background(seen[spread_evenly(len(seen), MAX_WINDOWS)], config), axis=0)
    n_windows = max(min(len(seen), MAX_WINDOWS) / 2, 1.0)
    parts = distance_parts(evidence, layout, typical, n_windows, locked.effect, locked.n)
    likeness = together(parts) / limit_of(evidence)
    fit = float(np.clip((FURTHEST - likeness) / (FURTHEST - 1), 0.0, 1.0))
    reasons: list[tuple[float, str]] = []
    if fit < 1:
        reasons.append((fit, unlike(evidence, layout, config, typical, n_windows, parts)))
    p_values: list[float] = []
    if evidence.locked:
        p_values.append(locked.p_value)
        if gate_of_p(locked.p_value) < 1:
            few = "" if locked.n >= MIN_MOMENTS else f" ({locked.n} moments tell little)"
            sentence = f"no response of the kind it was trained on is locked to these moments{few}"
            reasons.append((gate_of_p(locked.p_value), sentence))
        near = float(np.clip((locked.peak - PEAK[0]) / (PEAK[1] - PEAK[0]), 0.0, 1.0))
        told = gate_of_p(locked.p_value) > 0 or locked.elsewhere < LEVEL / 10
        if locked.n >= MIN_MOMENTS and near < 1 and told:
            side, off = ("after", "early") if locked.lag > 0 else ("before", "late")
            where = f"the response lies {abs(locked.lag):.2f} s {side} where it was in training: are the markers {off}?"
            reasons.append((near, where))
    for p, level, sentence in _asked_of_the_decoder(encoder, asked, label, chosen):
        if level <= LEVEL:
            p_values.append(p)
        share = gate_of_p(p * min(SURE / level, 1.0))
        if share < 1:
            reasons.append((share, sentence))
    p_value = max(p_values) if p_values else None
    gate = min([1.0, *(share for share, _ in reasons)])
    ordered = tuple(sentence for _, sentence in sorted(reasons, key=lambda one: one[0]))
    return Decodable(gate, p_value, likeness, ordered)


def _asked_of_the_decoder(
    encoder: EegEncoder, asked: np.ndarray, label: np.ndarray | None, chosen: tuple[np.ndarray, np.ndarray] | None
) -> Iterator[tuple[float, float, str]]:
    """Yield the p-value of a test of the decoder's own answers, the level that nine in ten recordings as good as
    training's stay below, and what it means where it is above that.

    asked: single windows, with the recording's own labels (n,). chosen: the windows that were selected, and of how many
    moments each is the mean.
    """
    evidence, head = encoder.evidence, encoder.head()
    assert evidence is not None
    if (
        label is not None
        and len(label) >= MIN_MOMENTS
        and (level := passing_level(evidence.separation, label)) < USEFUL
    ):
        p = association_p(answers_of(head, predict(encoder, asked)[head.config.space]), label)
        if p is not None:
            yield p, level, "its answers do not differ between the recording's own labels"
            return
    sets = [(asked, np.ones(len(asked), dtype=np.int64))]
    if chosen is not None and (chosen[1] > 1).any():
        rows = spread_evenly(len(chosen[1]), MAX_ASKED)
        sets.append((chosen[0][rows], chosen[1][rows]))
    levels = [scores_level(evidence, repeats) for _, repeats in sets]
    if min(levels) < USEFUL:
        windows, repeats = sets[int(np.argmin(levels))]
        output = predict(encoder, windows)[head.config.space]
        scores = confidence_score(head, output.float()).double().cpu().numpy()
        sentence = "its answers are no surer than where nothing was shown"
        yield scores_p(evidence, scores, repeats), min(levels), sentence
