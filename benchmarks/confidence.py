"""Whether confidence can be believed: calibration where there is something to decode, and what it says where there is
nothing.

    SD_EEG_DATA=<real recordings> python benchmarks/confidence.py [--sets n170-1 phantom ...] [--quick]

The three encoders that come with the pack, and for each labelled set of real recordings one encoder for every run that
is left out: judged on that run and on what is made of it, never on what they were fitted to. For the phantom sittings
are simulated anew. Decodable: what `core.model.decodable` says at its 5 % setting. Share: how much of a picture the EEG
may draw (`confidence_share`). `ece` is the root mean square calibration error over ten bins that hold as many windows
each, less what chance alone gives so few windows (Kumar, Liang & Ma, NeurIPS 2019), which in the long run is never
below the plain expected error; `ece_plain` is that one, as it comes out, `ece_interval` a 95 % bootstrap interval over
windows, and `ece_by_chance` what one in twenty confidences that are exactly right would give for so few windows.
Accuracy at coverage is the area under accuracy over the share of windows that are kept, the surest first;
`coverage_loss` is how much the gate takes of it. `own, all` puts a person's windows, single and averaged, together.

Windows of a recording are judged together, so `interval` is the exact 95 % binomial interval of the share of recordings
that count as decodable; `distinct` says how many different ones there are where several encoders judge the same. Where
nothing should be decodable, `answers_p` is the permutation p of single windows' answers being right after all, over all
recordings of the case (as of so many distinct ones, Stouffer), where it is known what is right. A case below 0.001
is real decoding of another brain or montage, and stands under `decodable_in_truth` with its share and its accuracy
instead of in `false_decodable_max`; `false_decodable_all` is the largest share with these. What both sides of a head do
alike stays decodable where left and right are swapped: `left_and_right_swapped` gives share and accuracy for each set.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np
import torch
from scipy.stats import binomtest, norm

from benchmarks.confidence_nulls import MADE, MIRRORED, REARRANGED
from benchmarks.confidence_sets import REAL, Gallery, RealSet, phantom_sitting, real_recordings, rest_recordings
from core.conditioning.conditioning import confident, gate_for
from core.evidence.association import own_label_p
from core.evidence.background import spread_evenly
from core.fitting.means import dealt_by
from core.model.checkpoint import EegEncoder, load_encoder
from core.model.confidence import confidence_score, confidence_share
from core.model.decodable import decodable
from core.model.prediction import predict
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.selection import Selection, prepared, select_events, selected_eeg, that_fit
from core.preprocessing.trials import Trials, build_trials
from core.preprocessing.windows import cut_windows
from core.recording import Event, Recording
from core.scoring.retrieval import similarities
from core.scoring.scores import calibration_error
from trainer.config.presets import preset_named
from trainer.training.fit import fit_encoder

AVERAGED = (1, 2, 4, 8, 16)
ENCODERS = Path(__file__).resolve().parent.parent / "assets" / "encoders"
N_BINS = 10


@dataclass
class Case:
    """What was said of one case: for each window whether it counts as decodable, its share, confidence, and, where
    that is known, whether its answer is right.
    """

    decodable: list[np.ndarray] = field(default_factory=list)
    share: list[np.ndarray] = field(default_factory=list)
    confidence: list[np.ndarray] = field(default_factory=list)
    probability: list[np.ndarray] = field(default_factory=list)
    right: list[np.ndarray] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    margins: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def figures(self, decodable: bool) -> dict[str, Any]:
        """Return the case's figures; calibration only where something is decodable."""
        told = np.concatenate(self.decodable)
        opened = sum(bool(one[0]) for one in self.decodable)
        found: dict[str, Any] = {
            "recordings": len(self.decodable),
            "distinct": len(set(self.names)),
            "recordings_decodable": opened,
            "interval": binomial_interval(opened, len(self.decodable)),
            "windows": len(told),
            "decodable": float(told.mean()),
            "share": float(np.concatenate(self.share).mean()),
        }
        if not decodable:
            right = np.concatenate(self.right)
            accuracy = float(right[right >= 0].mean()) if (right >= 0).any() else None
            return found | {"accuracy": accuracy, "answers_p": self.answers_p()}
        right, sure = np.concatenate(self.right), np.concatenate(self.confidence)
        probability = np.concatenate(self.probability)
        kept = told.astype(bool)
        found |= {
            "accuracy": float(right.mean()),
            "coverage_loss": at_coverage(probability, right) - at_coverage(sure, right),
            "coverage_loss_interval": loss_interval(probability, sure, right),
        }
        if kept.sum() >= 2 * N_BINS:
            found |= {
                "ece": debiased_error(sure[kept], right[kept]),
                "ece_plain": float(calibration_error(sure[kept], right[kept], N_BINS)),
                "ece_interval": ece_interval(sure[kept], right[kept]),
                "ece_by_chance": ece_by_chance(sure[kept]),
                "mean_confidence": float(sure[kept].mean()),
                "accuracy_where_decodable": float(right[kept].mean()),
                "n_ece": int(kept.sum()),
            }
        return found

    def answers_p(self) -> float | None:
        """Return the p of single windows' answers being right over all recordings; None where that is not known."""
        if not self.margins:
            return None
        known = np.clip([own_label_p(scores, label) for scores, label in self.margins], 1e-3, 1 - 1e-3)
        z = norm.isf(known).sum() / np.sqrt(len(known))  # Stouffer's
        return float(norm.sf(z * np.sqrt(len(set(self.names)) / len(self.names))))


def binomial_interval(n_hits: int, n: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share (Clopper & Pearson 1934)."""
    found = binomtest(n_hits, n).proportion_ci(0.95)
    return float(found.low), float(found.high)


def ece_interval(confidence: np.ndarray, right: np.ndarray, draws: int = 500) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of `debiased_error` over windows (n,)."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(right), (draws, len(right)))
    low, high = np.quantile([debiased_error(confidence[of], right[of]) for of in rows], [0.025, 0.975])
    return float(low), float(high)


def ece_by_chance(confidence: np.ndarray, draws: int = 500) -> float:
    """Return the 95 % point of `debiased_error` were each confidence (n,) the probability of being right."""
    rng = np.random.default_rng(0)
    drawn = (rng.random((draws, len(confidence))) < confidence).astype(np.float64)
    return float(np.quantile([debiased_error(confidence, one) for one in drawn], 0.95))


def debiased_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the root mean square gap between confidence and accuracy over at most ten bins of as many windows each,
    less what chance alone gives.
    """
    place = np.unique(confidence, return_inverse=True)[1].reshape(-1)
    counts = np.bincount(place)
    # windows of one confidence stay in one bin: those of another accuracy in their midst are no error of calibration
    middles = (np.cumsum(counts) - counts / 2) / len(right)
    bin_of = np.minimum((middles * N_BINS).astype(int), N_BINS - 1)[place]
    total = 0.0
    for one in np.unique(bin_of):
        rows = bin_of == one
        n, accuracy = int(rows.sum()), float(right[rows].mean())
        gap = float(confidence[rows].mean()) - accuracy
        total += n / len(right) * (gap**2 - accuracy * (1 - accuracy) / max(n - 1, 1))
    return float(np.sqrt(max(total, 0.0)))


def at_coverage(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the mean accuracy of the surest windows over all shares of windows that are kept; ties in any order."""
    _, place = np.unique(-confidence, return_inverse=True)
    of_tie = np.bincount(place, weights=right) / np.bincount(place)
    ordered = of_tie[np.sort(place)]
    return float((np.cumsum(ordered) / np.arange(1, len(ordered) + 1)).mean())


def loss_interval(
    probability: np.ndarray, sure: np.ndarray, right: np.ndarray, draws: int = 500
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval over windows (n,) of what the gate takes of the accuracy at coverage."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(right), (draws, len(right)))
    found = [at_coverage(probability[of], right[of]) - at_coverage(sure[of], right[of]) for of in rows]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def judge(
    case: Case, encoder: EegEncoder, selection: Selection | None, gallery: Gallery, name: str = "", own: bool = False
) -> None:
    """Decode a selection and put down what was said of it; nothing where it holds no window.

    name: of the recording, where it is judged more than once. own: whether its answers should be right.
    """
    if selection is None:
        return
    try:
        selection = that_fit(selection, encoder.preprocessing)
    except ValueError:
        return
    head = encoder.head()
    judged = decodable(encoder, selection)
    output = predict(encoder, selected_eeg(selection, encoder.preprocessing))[head.config.space].float()
    repeats = torch.tensor([len(group) for group in selection.groups])
    fitted = encoder.confidence[head.config.space]
    chance = fitted.chance if gallery.values is None else 1 / len(gallery.values)
    probability = fitted.probability(confidence_score(head, output), repeats, chance)
    sure = confident(probability, chance, gate_for(encoder, head.config.space, judged))
    scores = (
        output if gallery.values is None else similarities(head.comparable(output), head.comparable(gallery.values))
    )
    truth = torch.tensor([gallery.place.get(label, -1) for label in selection.labels])
    right = (scores.argmax(1) == truth).double().masked_fill(truth < 0, -1).numpy()
    case.names.append(name or f"recording {len(case.names)}")
    if not own and bool((truth >= 0).all()):
        case.margins.append(single_answers(encoder, one_by_one(selection), gallery))
    case.decodable.append(np.full(len(sure), judged.is_decodable, dtype=np.float64))
    case.share.append(confidence_share(sure, chance).double().numpy())
    case.confidence.append(sure.double().numpy())
    case.probability.append(probability.double().numpy())
    case.right.append(right)


def one_by_one(selection: Selection) -> Selection:
    """Return the selection of each moment on its own."""
    parts = [
        (moment, label) for group, label in zip(selection.groups, selection.labels, strict=True) for moment in group
    ]
    parts.sort()
    return replace(selection, groups=tuple((m,) for m, _ in parts), labels=tuple(label for _, label in parts))


def single_answers(encoder: EegEncoder, selection: Selection, gallery: Gallery) -> tuple[np.ndarray, np.ndarray]:
    """Return scores of the alternatives of single windows (n, n_alternatives), 400 at most, and the right ones (n,)."""
    selection = that_fit(selection, encoder.preprocessing)
    some = selection.only(*spread_evenly(len(selection), 400).tolist())
    head = encoder.head()
    scores = predict(encoder, selected_eeg(some, encoder.preprocessing))[head.config.space].float()
    if gallery.values is not None:
        scores = similarities(head.comparable(scores), head.comparable(gallery.values))
    return scores.double().numpy(), np.array([gallery.place[label] for label in some.labels])


def means_of(selection: Selection, averaged: int) -> Selection | None:
    """Return the selection of means of so many moments of one label each; None where no label has so many."""
    if averaged == 1:
        return selection
    moments = [group[0] for group in selection.groups]
    names, label = np.unique(selection.labels, return_inverse=True)
    dealt = list(dealt_by(label.reshape(-1), averaged, 0, most_draws=1))
    groups = tuple(tuple(moments[i] for i in sorted(rows)) for rows in dealt)
    if not groups:
        return None
    return replace(selection, groups=groups, labels=tuple(str(names[label[rows[0]]]) for rows in dealt))


def trials_of(recordings: list[Recording], config: PreprocessingConfig) -> Trials:
    """Return the labelled windows of runs as a trial store would hold them."""
    windows: list[np.ndarray] = []
    rows: list[dict[str, Any]] = []
    for number, recording in enumerate(recordings):
        cut = cut_windows(prepared(recording, config), [e.onset for e in recording.events], config)
        kept = [event for event, whole in zip(recording.events, cut.kept, strict=True) if whole]
        windows.append(cut.data)
        run = f"run-{number}"
        rows += [{"label": e.label, "onset": e.onset, "run": run, "subject": "one"} for e in kept]
    return build_trials(np.concatenate(windows), rows)


def artefact_limit(recordings: list[Recording], config: PreprocessingConfig) -> float:
    """Return five times the usual peak-to-peak amplitude of runs' windows, microvolts."""
    peaks = [
        np.ptp(cut_windows(prepared(r, config), [e.onset for e in r.events], config).data, axis=2).max(axis=1) * 1e6
        for r in recordings
    ]
    return float(5 * np.median(np.concatenate(peaks)))


def encoders_of(real: RealSet, recordings: list[Recording]) -> Iterator[tuple[int, EegEncoder]]:
    """Yield for each run an encoder that was fitted to the others, evidence and calibration and all."""
    options = preset_named("n170")
    for left_out in range(len(recordings)):
        others = [recording for number, recording in enumerate(recordings) if number != left_out]
        config = replace(real.config, reject_uv=round(artefact_limit(others, real.config), 1))
        trials = trials_of(others, config)
        nothing = np.zeros(0, dtype=np.int64)
        parts = {"train": np.arange(len(trials)), "val": nothing, "test": nothing}
        yield left_out, fit_encoder(trials, parts, config, {}, options)


def real_set(real: RealSet, strangers: dict[str, list[Recording]], draws: int) -> dict[str, Any]:
    """Return the figures of one real set: every run judged by an encoder that never saw it."""
    recordings = real_recordings(real)
    if len(recordings) == 1:
        recordings = halves(recordings[0])
    cases: dict[str, Case] = {}
    rng = np.random.default_rng(0)
    told: list[bool] = []
    for left_out, encoder in encoders_of(real, recordings):
        own = recordings[left_out]
        gallery = Gallery(None, places(encoder, real))
        told.append(encoder.evidence is not None and min(encoder.evidence.guess_p.values(), default=1.0) <= 0.05)
        for averaged in AVERAGED:
            case = cases.setdefault(f"own, mean of {averaged}", Case())
            judge(case, encoder, means_of(select_events(own), averaged), gallery, own=True)
        for name, made in MADE.items():
            for draw in range(draws):
                other = made(own, rng)
                averaged = AVERAGED[draw % len(AVERAGED)]
                selection, of = means_of(select_events(other), averaged), f"{left_out}" if name in REARRANGED else ""
                judge(cases.setdefault(name, Case()), encoder, selection, gallery, of)
        for who, runs in strangers.items():
            if who.split("/")[0] == real.person:
                continue
            for number, run in enumerate(runs):
                averaged = AVERAGED[number % len(AVERAGED)]
                case = cases.setdefault(f"another person: {who}", Case())
                judge(case, encoder, means_of(select_events(run), averaged), gallery, f"{who} {number}")
    return {"encoders_that_beat_guessing": float(np.mean(told)), **summary(cases)}


def halves(recording: Recording) -> list[Recording]:
    """Return a single run as two, cut in the middle."""
    middle = recording.n_times // 2
    at = middle / recording.sfreq
    first = tuple(event for event in recording.events if event.onset < at)
    later = tuple(replace(event, onset=event.onset - at) for event in recording.events if event.onset >= at)
    data = recording.data[:, :middle], np.ascontiguousarray(recording.data[:, middle:])
    return [replace(recording, data=of, events=events) for of, events in zip(data, (first, later), strict=True)]


def places(encoder: EegEncoder, real: RealSet) -> dict[str, int]:
    """Return which prompt each label stands for."""
    prompts = encoder.head().config.prompts
    return {name: prompts.index(name) for name in real.labels.values()}


def summary(cases: dict[str, Case]) -> dict[str, Any]:
    """Return each case's figures, and those of the own person's windows, single and averaged, together."""
    owns = [case for name, case in cases.items() if name.startswith("own")]
    if owns:
        names = ("decodable", "share", "confidence", "probability", "right")
        cases = {**cases, "own, all": Case(*([x for case in owns for x in getattr(case, name)] for name in names))}
    return {name: case.figures(name.startswith("own")) for name, case in cases.items() if case.decodable}


def shipped_n170(strangers: dict[str, list[Recording]], draws: int) -> dict[str, Any]:
    """Return the figures of the shipped encoder of one person, on others and on what is made of its own runs."""
    encoder = load_encoder(ENCODERS / "n170-subject1.safetensors")
    gallery = Gallery(None, {"house": 0, "face": 1})
    cases: dict[str, Case] = {}
    rng = np.random.default_rng(1)
    for run, own in enumerate(real_recordings(REAL["n170-1"])):
        for name, made in MADE.items():
            for draw in range(draws):
                selection = means_of(select_events(made(own, rng)), AVERAGED[draw % len(AVERAGED)])
                of = f"{run}" if name in REARRANGED else ""
                judge(cases.setdefault(name, Case()), encoder, selection, gallery, of)
    for who, runs in strangers.items():
        if who.split("/")[0] == REAL["n170-1"].person:
            continue
        for number, run in enumerate(runs):
            case = cases.setdefault(f"another person: {who}", Case())
            selection = means_of(select_events(run), AVERAGED[number % len(AVERAGED)])
            judge(case, encoder, selection, gallery, f"{who} {number}")
    return summary(cases)


def phantom(name: str, draws: int) -> dict[str, Any]:
    """Return the figures of a shipped phantom encoder on sittings that are simulated anew."""
    encoder = load_encoder(ENCODERS / f"{name}.safetensors")
    coarse = "saliency" in name
    cases: dict[str, Case] = {}
    rng = np.random.default_rng(2)
    recordings, gallery = phantom_sitting(encoder, coarse, seed=1000)
    for recording in recordings:
        selection = select_events(recording)
        for averaged in AVERAGED:
            case = cases.setdefault(f"own, mean of {averaged}", Case())
            judge(case, encoder, means_of(selection, averaged), gallery, own=True)
    for number in range(draws):
        for what, changes in {"SNR 0": {"snr": 0.0}, "another person": {"subject": 1 + number}}.items():
            run = phantom_sitting(encoder, coarse, seed=2000 + number, runs=1, **changes)[0][0]
            averaged = AVERAGED[number % len(AVERAGED)]
            judge(cases.setdefault(what, Case()), encoder, means_of(select_events(run), averaged), gallery)
        own = recordings[number % len(recordings)]
        for what, made in MADE.items():
            averaged = AVERAGED[number % len(AVERAGED)]
            selection = means_of(select_events(made(own, rng)), averaged)
            of = f"{number % len(recordings)}" if what in REARRANGED else ""
            judge(cases.setdefault(what, Case()), encoder, selection, gallery, of)
        for rest in rest_recordings():
            onsets = np.sort(rng.uniform(0.5, rest.duration - 1.5, 60))
            events = tuple(Event(float(t), 0.2, str(i % 4)) for i, t in enumerate(onsets))
            averaged = AVERAGED[number % len(AVERAGED)]
            selection = means_of(select_events(replace(rest, events=events)), averaged)
            judge(cases.setdefault("a person at rest, eyes open and closed", Case()), encoder, selection, gallery)
    return summary(cases)


def main() -> None:
    """Judge every set, print what was found, and as the last line one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = ["phantom-epoc14", "phantom-epoc14-saliency", "n170-subject1", *REAL]
    parser.add_argument("--sets", nargs="+", default=known, choices=known)
    parser.add_argument("--draws", type=int, default=10, help="of each null, from each recording")
    options = parser.parse_args()
    strangers = (
        {f"{real.person}/{name}": real_recordings(real) for name, real in REAL.items()}
        if set(options.sets) - set(known[:2])
        else {}
    )
    found: dict[str, Any] = {}
    for name in options.sets:
        if name in known[:2]:
            found[name] = phantom(name, options.draws)
        elif name == "n170-subject1":
            found[name] = shipped_n170(strangers, options.draws)
        else:
            found[name] = real_set(REAL[name], strangers, options.draws)
        print(name, json.dumps(found[name], indent=1), flush=True)
    cases = [(of, case, f) for of, one in found.items() for case, f in one.items() if isinstance(f, dict)]
    mirrored = {of: [f["decodable"], f["accuracy"]] for of, case, f in cases if case == MIRRORED}
    empty = [(of, case, f) for of, case, f in cases if not case.startswith("own") and case != MIRRORED]
    real = {f"{of}: {case}": f for of, case, f in empty if (f["answers_p"] or 1.0) < 0.001}
    nulls = [f for of, case, f in empty if f"{of}: {case}" not in real]
    owns = [f for _, case, f in cases if case.startswith("own") and case != "own, all"]
    together = [f for _, case, f in cases if case == "own, all"]
    calibrated = [f for f in owns if "ece" in f]
    print(
        json.dumps(
            {
                "ece_max": max((f["ece"] for f in calibrated), default=None),
                "ece_over_chance_max": max((f["ece"] - f["ece_by_chance"] for f in calibrated), default=None),
                "ece_together_max": max((f["ece"] for f in together if "ece" in f), default=None),
                "false_decodable_max": max((f["decodable"] for f in nulls), default=None),
                "null_recordings": sum(f["recordings"] for f in nulls),
                "null_recordings_decodable": sum(f["recordings_decodable"] for f in nulls),
                "false_decodable_all": max((f["decodable"] for _, _, f in empty), default=None),
                "fallback_share_max": max((f["share"] for f in nulls), default=None),
                "fallback_share_all": max((f["share"] for _, _, f in empty), default=None),
                "left_and_right_swapped": mirrored,
                "decodable_in_truth": {name: [f["decodable"], f["accuracy"]] for name, f in real.items()},
                "coverage_loss_max": max((f["coverage_loss"] for f in owns), default=None),
                "coverage_loss_sure_max": max((f["coverage_loss_interval"][0] for f in owns), default=None),
                "cases": found,
            }
        )
    )


if __name__ == "__main__":
    main()
