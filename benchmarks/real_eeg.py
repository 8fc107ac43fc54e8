"""Every labelled real recording, ours beside both peers in the same windows and folds, and whether it may be believed.

    SD_EEG_DATA=FOLDER python benchmarks/real_eeg.py [--sets "gratings" "word pairs"]

Each run is told by what was fitted to the others (a single run in five stretches, files by pairs, people by person).
Ours is the preset `filter-bank` from 1 to 40 Hz; peers are pyRiemann's Xdawn covariances and ERP covariances, each in
tangent space with scikit-learn's logistic regression, from 1 to 40 and 1 to 30 Hz. Windows over five times a set's
median peak to peak are left out for all of them. A figure is the mean ROC-AUC over folds; a difference comes with
DeLong's paired interval over windows and a t interval over folds, both widened for shared training trials (Nadeau &
Bengio 2003), and is called ahead or behind where the first leaves out zero. `before` is the same decoder on the window
before the marker. The verdict joins the leak checks of the recordings (`core.leaks`) with the interval of the figure.
The views of `filter-bank` were chosen with these sets in sight.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np
import pyriemann  # noqa: F401  (says that it is missing before anything runs)

from benchmarks.real_sets import SETS, Cut, RealSet, cut, folds_of, usable
from core.leaks.check import Check
from core.leaks.evidence.recording_evidence import RecordingEvidence
from core.leaks.leak_input import LeakInput
from core.leaks.registry import run_checks
from core.leaks.signal import before_picture, locked
from core.model.prediction import predict
from core.preprocessing.trials import Trials, build_trials
from core.scoring.intervals import corrected_resampled_interval
from core.scoring.scores import roc_auc
from trainer.config.presets import preset_named
from trainer.training.fit import fit_encoder

BANDS = ((1.0, 40.0), (1.0, 30.0))
PEERS = ("xdawn", "erp")
MIN_PER_LABEL = 5


def trials_of(windows: Cut, labels: tuple[str, str]) -> Trials:
    """Return windows as the trainer takes them."""
    rows = [
        {"label": labels[label], "run": str(run), "subject": str(person), "onset": float(onset)}
        for label, run, person, onset in zip(windows.label, windows.run, windows.person, windows.onset, strict=True)
    ]
    return build_trials(windows.eeg, rows, labels)


def ours(trials: Trials, windows: Cut, train: np.ndarray, test: np.ndarray, preset: str) -> np.ndarray:
    """Return scores for the second label of tested windows (n,) from the trainer's own encoder."""
    parts = {"train": train, "val": train[:0], "test": test}
    encoder = fit_encoder(trials, parts, windows.config, {}, preset_named(preset), calibrated=False)
    logits = predict(encoder, trials.eeg[test])["prompts"]
    return (logits[:, 1] - logits[:, 0]).numpy()


def theirs(peer: str, windows: Cut, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return a peer's scores for the second label of tested windows (n,)."""
    from pyriemann.estimation import ERPCovariances, XdawnCovariances
    from pyriemann.tangentspace import TangentSpace
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    estimator = XdawnCovariances(nfilter=4, estimator="oas") if peer == "xdawn" else ERPCovariances(estimator="oas")
    line = make_pipeline(estimator, TangentSpace(), LogisticRegression(max_iter=2000))
    eeg = windows.eeg.astype(np.float64) * 1e6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return line.fit(eeg[train], windows.label[train]).decision_function(eeg[test])


def placements(scores: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each window of the second label the share of the first's that score lower, and the other way round:
    DeLong's placement values, whose means are the ROC-AUC.
    """
    one, other = np.sort(scores[label == 1]), np.sort(scores[label == 0])

    def below(values: np.ndarray, among: np.ndarray) -> np.ndarray:
        return (np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")) / 2 / len(among)

    return below(scores[label == 1], other), 1 - below(scores[label == 0], one)


def paired(own: list[np.ndarray], theirs: list[np.ndarray], label: list[np.ndarray], test_over_train: float) -> dict:
    """Return the mean difference of two decoders' ROC-AUC over folds with its intervals and what may be said of it.

    own, theirs, label: for each fold (n,). interval: over windows, DeLong, DeLong & Clarke-Pearson (Biometrics 44,
    1988) in each fold, widened for shared training windows; by_fold: a t interval over folds.
    """
    means, variance = [], 0.0
    for a, b, truth in zip(own, theirs, label, strict=True):
        parts = [x - y for x, y in zip(placements(a, truth), placements(b, truth), strict=True)]
        means.append(float(parts[0].mean()))
        variance += sum(float(part.var(ddof=1)) / len(part) for part in parts)
    k, differences = len(means), np.array(means)
    half = 1.96 * np.sqrt(variance) / k * np.sqrt(1 + k * test_over_train)
    low, high = float(differences.mean() - half), float(differences.mean() + half)
    said = "ahead" if low > 0 else "behind" if high < 0 else "not told apart"
    return {
        "mean": round(float(differences.mean()), 4),
        "interval": [round(low, 4), round(high, 4)],
        "by_fold": [round(bound, 4) for bound in corrected_resampled_interval(differences, test_over_train)],
        "ours_is": said,
    }


def checks_of(real: RealSet, trials: Trials, windows: Cut, evidence: dict[str, RecordingEvidence]) -> list[Check]:
    """Return the checks that look at the recordings: answers locked to the markers, classes before them; none where the
    windows follow the clock.
    """
    if real.clocked:
        return []
    given = LeakInput(
        trials,
        sfreq=windows.config.sfreq,
        tmin=windows.config.tmin,
        l_freq=windows.config.l_freq,
        recording=windows.run,
        evidence=evidence,
    )
    return run_checks(given, (locked.NAME, before_picture.NAME))


def judge(real: RealSet, preset: str) -> dict:
    """Return every figure of one set, or why there is none."""
    found: dict = {"set": real.name, "left_out": real.by, "account": real.known or "labelled"}
    whole, evidence = cut(real, BANDS[0])
    narrow, _ = cut(real, BANDS[1])
    clean = np.flatnonzero(usable(whole))
    windows = {BANDS[0]: whole.take(clean), BANDS[1]: narrow.take(clean)}
    own = windows[BANDS[0]]
    counts = np.bincount(own.label, minlength=2)
    found |= {"n": len(clean), "n_artefacts": len(whole.label) - len(clean), "each_label": counts.tolist()}
    if counts.min() < MIN_PER_LABEL:
        return found | {"verdict": f"not decodable: {counts.tolist()} windows of the two labels; {real.known}"}
    trials = trials_of(own, real.labels)
    checks = checks_of(real, trials, own, evidence)
    folds = [
        fold
        for fold in folds_of(real, own)
        if len(np.unique(own.label[fold[2]])) == 2
        and np.bincount(own.label[fold[1]], minlength=2).min() >= MIN_PER_LABEL
    ]
    if len(folds) < 2:
        sentences = [check.sentence for check in checks]
        return found | {"checks": sentences, "verdict": verdict(checks, None, real)}
    told: dict[str, list[np.ndarray]] = {}
    for _, train, test in folds:
        scores = {"ours": ours(trials, own, train, test, preset)}
        for band, peer in [(band, peer) for band in BANDS[: 2 if real.filtered else 1] for peer in PEERS]:
            scores[f"{peer} {band[0]:g}-{band[1]:g}"] = theirs(peer, windows[band], train, test)
        for name, score in scores.items():
            told.setdefault(name, []).append(score)
    share = float(np.mean([len(test) / len(train) for _, train, test in folds]))
    truth = [own.label[test] for _, _, test in folds]
    each = {
        name: np.array([roc_auc(score, label) for score, label in zip(of, truth, strict=True)])
        for name, of in told.items()
    }
    low, high = np.clip(corrected_resampled_interval(each["ours"], share), 0.0, 1.0).tolist()  # few folds reach beyond
    found |= {
        "folds": [name for name, _, _ in folds],
        "auc": {name: round(float(of.mean()), 4) for name, of in each.items()},
        "ours_by_fold": [round(float(value), 3) for value in each["ours"]],
        "ours_interval": [round(low, 3), round(high, 3)],
        "ours_less_peer": {name: paired(told["ours"], of, truth, share) for name, of in told.items() if name != "ours"},
        "before": before(real, preset),
        "checks": [check.sentence for check in checks],
    }
    if len(np.unique(own.run)) == 1:
        found["if_neighbours_were_split"] = neighbours_split(trials, own, preset)
    return found | {"verdict": verdict(checks, low, real)}


def neighbours_split(trials: Trials, windows: Cut, preset: str) -> float:
    """Return the mean ROC-AUC of one run where every fifth window is tested: what published figures of it are."""
    number = np.arange(len(windows.label)) % 5
    found = []
    for fold in range(5):
        train, test = np.flatnonzero(number != fold), np.flatnonzero(number == fold)
        if len(np.unique(windows.label[test])) == 2:
            found.append(roc_auc(ours(trials, windows, train, test, preset), windows.label[test]))
    return round(float(np.mean(found)), 4)


def before(real: RealSet, preset: str) -> float | str:
    """Return the mean ROC-AUC of the window before the marker, in the same kind of folds."""
    if real.before is None:
        return "there is no such window"
    windows, _ = cut(real, BANDS[0], real.before)
    windows = windows.take(np.flatnonzero(usable(windows)))
    trials, found = trials_of(windows, real.labels), []
    for _, train, test in folds_of(real, windows):
        if len(np.unique(windows.label[test])) == 2 and len(np.unique(windows.label[train])) == 2:
            found.append(roc_auc(ours(trials, windows, train, test, preset), windows.label[test]))
    return round(float(np.mean(found)), 4) if found else "no fold holds both labels"


def verdict(checks: list[Check], low: float | None, real: RealSet) -> str:
    """Return in one line what the figure may be taken for; low: of its interval, None where there is no figure."""
    failed = [check.sentence for check in checks if check.passed is False]
    if failed:
        return f"not to be believed: {' '.join(failed)}"
    if low is None:
        return f"not decodable: no two folds hold both labels; {real.known}"
    if low <= 0.5:
        return "not told from chance" + (f"; {real.known}" if real.known else "")
    return "decodable" + (f", yet {real.known}" if real.known else "")


def main() -> None:
    """Judge the chosen sets, print one line each and one JSON object at the end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=[real.name for real in SETS])
    parser.add_argument("--preset", default="filter-bank")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.sets if name not in {real.name for real in SETS}]:
        parser.error(f"no set {unknown[0]!r}; there are {', '.join(repr(real.name) for real in SETS)}")
    rows = []
    for real in SETS:
        if real.name in arguments.sets:
            rows.append(judge(real, arguments.preset))
            print(f"{real.name}: {rows[-1].get('auc', '')} before {rows[-1].get('before', '')}: {rows[-1]['verdict']}")
            sys.stdout.flush()
    pairs = [
        (row["set"], peer, one)
        for row in rows
        if row["account"] == "labelled"
        for peer, one in row.get("ours_less_peer", {}).items()
    ]
    figures = {
        "ahead": [f"{name}: {peer}" for name, peer, one in pairs if one["ours_is"] == "ahead"],
        "behind": [f"{name}: {peer}" for name, peer, one in pairs if one["ours_is"] == "behind"],
        "lower_mean": [f"{name}: {peer} by {-one['mean']:.4f}" for name, peer, one in pairs if one["mean"] < 0],
        "sets": rows,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
