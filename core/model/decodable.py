"""Is anything decodable here? What a recording shows an encoder, held against what its training did."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..evidence.association import MAX_ASKED, association_p, own_label_p, passing_level, run_in_blocks
from ..evidence.background import MAX_WINDOWS, background, layout_of, spread_evenly
from ..evidence.likeness import distance_parts, limit_of, together, unlike
from ..evidence.locking import MIN_MOMENTS, Locked, filter_recording, filter_windows, locked_to, locked_trials
from ..evidence.scores import scores_level, scores_p
from ..preprocessing.config import PreprocessingConfig
from ..preprocessing.selection import Selection, prepared, selected_eeg, that_fit
from ..preprocessing.windows import cut_windows
from ..recording import Recording
from .checkpoint import EegEncoder
from .confidence import concept_similarity, confidence_score
from .heads import Head
from .prediction import predict

LEVEL, SURE = 0.05, 0.02  # the p-values at which the gate begins to open, and is open
FURTHEST = 1.4  # times the limit: from there on the gate is shut
FIRM = LEVEL / 10  # that a test has to pass which stands alone, with no locked response beside it
SHARP = LEVEL / 5  # the level of a test that would pass it nine times in ten: it can afford to be strict
USEFUL = 0.5  # of the level of a test of the decoder's answers: above it the test tells too little to be made
PERHAPS = 0.2  # how far the gate opens at most where too little is there to tell
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
    events with the same labels too, or with any that training knew where these are of them: one window alone tells
    little. The answer is kept as long as the recording lives.
    """
    if (known := unable(encoder)) is not None:
        return known
    moments, labels = _pool(selection, _known(encoder))
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
    return _gate_at(p_value, LEVEL)


def _gate_at(p_value: float, level: float) -> float:
    return float(np.clip(math.log(level / max(p_value, 1e-300)) / math.log(LEVEL / SURE), 0.0, 1.0))


def _known(encoder: EegEncoder) -> dict[str, int]:
    """Return the recorded labels that training knew, with the place of each one's answer."""
    assert encoder.evidence is not None
    return {name: place for place, name in enumerate(encoder.evidence.labels or encoder.head().config.prompts)}


def _pool(selection: Selection, known: dict[str, int]) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Return the moments that are asked, and each one's label where all of them are events."""
    moments = [moment for group in selection.groups for moment in group]
    events: dict[int, str] = {}
    for event in selection.recording.events:
        events.setdefault(round(event.onset * 1e6), event.label)
    chosen = {events.get(round(moment * 1e6)) for moment in moments}
    if None in chosen:
        return np.unique(moments), None
    if chosen <= known.keys():
        chosen |= known.keys()
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
    """Return the windows that the decoder itself is asked about, and their labels' names, None where unknown."""
    rows = spread_evenly(len(eeg), MAX_ASKED)
    if labels is None or len(labels) != len(eeg):
        return eeg[rows], None
    return eeg[rows], np.asarray(labels)[rows].astype(str)


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


@dataclass(frozen=True)
class _Asked:
    """A test of a decoder's answers: its p-value, the level that nine in ten recordings as good as training's stay
    below, what it means where it is above, and whether it was known which answer goes with which label.
    """

    p_value: float
    level: float
    sentence: str
    directed: bool = False

    @property
    def bar(self) -> float:
        """The p-value that has to be undercut: 0.05, or less where it is not known which answer goes with which label
        and training's recordings undercut less than that easily.
        """
        return LEVEL if self.directed else min(max(self.level, SHARP), LEVEL)


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
        counts = "what it says here counts in part only" if fit > 0 else "treat as no decoding"
        reasons.append((fit, f"{unlike(evidence, layout, config, typical, n_windows, parts)}; {counts}"))
    test = _answers_tested(encoder, asked, label, chosen)
    response = _response_gates(locked) if evidence.locked else []
    share, p_value, told = _told_by(response, locked.p_value, test, evidence.locked)
    ordered = tuple(sentence for _, sentence in sorted([*reasons, *told], key=lambda one: one[0]))
    return Decodable(min(fit, share), p_value, likeness, ordered)


def _response_gates(locked: Locked) -> list[tuple[float, str]]:
    """Return how far the response opens the gate, by what is said where it does not."""
    few = "" if locked.n >= MIN_MOMENTS else f" ({locked.n} moments tell little)"
    here = gate_of_p(locked.p_value)
    found = [(here, f"no response of the kind it was trained on is locked to these moments{few}")]
    near = float(np.clip((locked.peak - PEAK[0]) / (PEAK[1] - PEAK[0]), 0.0, 1.0))
    told = (here > 0 and locked.moved < LEVEL) or locked.elsewhere < LEVEL / 10
    if locked.n >= MIN_MOMENTS and near < 1 and told:
        side, off = ("after", "early") if locked.lag > 0 else ("before", "late")
        where = f"the response lies {abs(locked.lag):.2f} s {side} where it was in training: are the markers {off}?"
        found.append((near, where))
    return found


def _told_by(
    response: list[tuple[float, str]], locked_p: float, test: _Asked | None, is_locked: bool
) -> tuple[float, float | None, list[tuple[float, str]]]:
    """Return how far what was found opens the gate, the p-value, and what stands against it.

    Both have to be found: a response, which whoever looks at a picture has, and answers that tell something. One alone
    is believed where answers go with the labels that they should, and ten times surer. Where there is too little for
    the answers to be tested, a response opens the gate no further than `PERHAPS`.
    """
    locked = min((share for share, _ in response), default=1.0)
    against = [(share, sentence) for share, sentence in response if share < 1]
    if test is None:
        share = PERHAPS / 2 * locked if is_locked else 0.0
        little = "there is too little to tell whether its answers mean anything"
        return share, locked_p if is_locked else None, [*against, (PERHAPS / 2, little)]
    alone = test.directed or not is_locked
    firm = _gate_at(test.p_value, FIRM) if alone else 0.0
    answers = _gate_at(test.p_value, test.bar) if is_locked else firm
    both = min(locked, answers)
    if firm >= both and firm > 0:
        return firm, test.p_value, [(firm, test.sentence)] if firm < 1 else []
    if test.level > LEVEL and is_locked:  # a test that training's own recordings would often not pass shuts nothing
        answers = max(answers, PERHAPS * (1 - test.p_value))
    if answers < 1:
        against.append((answers, test.sentence))
    return min(locked, answers), max(locked_p, test.p_value) if is_locked else test.p_value, against


def _answers_tested(
    encoder: EegEncoder, asked: np.ndarray, label: np.ndarray | None, chosen: tuple[np.ndarray, np.ndarray] | None
) -> _Asked | None:
    """Return the test of the decoder's own answers that tells most; None where none tells enough.

    asked: single windows, with the recording's own labels (n,). chosen: the windows that were selected, and of how many
    moments each is the mean.
    """
    evidence = encoder.evidence
    assert evidence is not None
    if label is not None and len(label) >= MIN_MOMENTS and (found := _by_labels(encoder, asked, label)) is not None:
        return found
    head = encoder.head()
    sets = [(asked, np.ones(len(asked), dtype=np.int64))]
    if chosen is not None and (chosen[1] > 1).any():
        rows = spread_evenly(len(chosen[1]), MAX_ASKED)
        sets.append((chosen[0][rows], chosen[1][rows]))
    levels = [scores_level(evidence, repeats) for _, repeats in sets]
    if min(levels) >= LEVEL:  # what other people's answers to nothing score is not known: only a clear one counts
        return None
    windows, repeats = sets[int(np.argmin(levels))]
    output = predict(encoder, windows)[head.config.space]
    scores = confidence_score(head, output.float()).double().cpu().numpy()
    sentence = "its answers are no surer than where nothing was shown"
    return _Asked(scores_p(evidence, scores, repeats), min(levels), sentence)


def _by_labels(encoder: EegEncoder, asked: np.ndarray, label: np.ndarray) -> _Asked | None:
    """Return the test of whether answers go with the recording's own labels (n,): with the ones they should, where
    these are training's, else with any; None where labels run in blocks or windows are too few.
    """
    evidence, head = encoder.evidence, encoder.head()
    assert evidence is not None
    names, number = np.unique(label, return_inverse=True)
    number = number.reshape(-1)
    known = _known(encoder)
    directed = all(str(name) in known for name in names)
    level = passing_level(evidence.separation, number, directed)
    if level >= USEFUL or run_in_blocks(number):
        return None
    output = predict(encoder, asked)[head.config.space].float()
    if directed:
        scores = output if head.config.kind == "prompts" else concept_similarity(head, output)
        truth = np.array([known[str(name)] for name in names])[number]
        p = own_label_p(scores.double().cpu().numpy(), truth)
        return _Asked(p, level, "its answers do not go with the recording's own labels", True)
    p = association_p(answers_of(head, output), number)
    return None if p is None else _Asked(p, level, "its answers do not differ between the recording's own labels")
