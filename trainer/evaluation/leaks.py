"""Leak checks: could a score come from anything but the brain's answer to the picture?

Each check names a way in which published EEG scores have turned out to be something else: classes recorded in one block
each (Li et al. 2021, "The perils and pitfalls of block design for EEG classification experiments"), test pictures
that were trained on, and labels that can be read before the picture is shown.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from core.preprocessing.trials import Trials
from core.scoring.scores import p_of

from .prestimulus import decode_prestimulus

TOLERATED = 0.1  # share of the label that block or time may explain, beyond what shuffled labels explain
ALPHA = 0.01  # a check that fails by chance in one honest report of a hundred
N_PERMUTATIONS = 200
MIN_TRIALS = 20
ABOVE_CHANCE = 0.05  # p of a score that is called above chance
NOT_A_LEAK = {"test concepts"}  # checks of what a score means rather than of where it comes from
FEW_CLASSES = 20  # with more, the time before the picture is decoded in the test split only


@dataclass(frozen=True)
class Check:
    """One leak check: `passed` (None where the data do not allow it), the `figure`, and what it means."""

    name: str
    passed: bool | None
    figure: float | None
    sentence: str


def check_leaks(
    trials: Trials, parts: dict[str, np.ndarray], prestimulus: np.ndarray | None = None, seed: int = 0
) -> list[Check]:
    """Return all leak checks of a split.

    parts: `train`, `val`, `test` → indices or masks into the trials (single presentations, not averages). prestimulus:
    windows (len(trials), n_channels, n_times) from before the picture came, filtered so that nothing after its onset
    reaches them (a zero-phase filter carries the answer back in time).

    Raises ValueError where there is no test split.
    """
    rows = {name: np.flatnonzero(p) if np.asarray(p).dtype == bool else np.asarray(p) for name, p in parts.items()}
    if not len(rows.get("test", ())):
        raise ValueError("leak checks need test trials; parts['test'] is empty or missing")
    everything = np.concatenate(list(rows.values()))
    checks = [
        check_blocks(trials, rows["test"], seed),
        check_time(trials, everything, seed),
        check_concepts(trials, rows),
        check_pictures(trials, rows),
        check_presentations(trials, rows),
    ]
    if prestimulus is not None:
        chosen = everything if len(np.unique(trials.label)) <= FEW_CLASSES else rows["test"]
        run = trials.groups("subject", "session", "run")[1][chosen]
        checks.append(check_prestimulus(np.asarray(prestimulus)[chosen], trials.label[chosen], run, seed=seed))
    return checks


def verdict(checks: Sequence[Check | dict], scores: Sequence[dict] = ()) -> str:
    """Return in one plain sentence what the checks make of the scores: whether they are a leak.

    checks: or dicts of their fields. scores: the report's rows; where none is above chance, a leak has shown nothing.
    """
    found = [check if isinstance(check, dict) else asdict(check) for check in checks]
    failed = [check["name"] for check in found if check.get("passed") is False]
    if not found:
        return "No leak check was made."
    if not failed:
        return "No leak check failed."
    count = "A leak check failed" if len(failed) == 1 else f"{len(failed)} leak checks failed"
    if not set(failed) - NOT_A_LEAK:
        return f"{count}: do not read the scores as vision before this is settled."
    if scores and not any(_above_chance(row) for row in scores):
        return f"{count}, though no score is above chance; one that is would not show vision."
    return f"{count}: the score is a leak, not vision."


def _above_chance(row: dict) -> bool:
    # labels shuffled inside blocks of one class stay as they are, so p alone would miss the very case
    (low, _), chance, p = row.get("interval") or (None, None), row.get("chance"), row.get("p_value")
    return (p is not None and p <= ABOVE_CHANCE) or (low is not None and chance is not None and low > chance)


def shared_information(label: np.ndarray, block: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the share of the label's entropy that the block tells, and its permutation p.

    label, block: int (n,). The share is mutual information adjusted for chance: 0 for what shuffled labels share with
    blocks of these sizes, 1 where the block tells the label (Vinh et al. 2010, expectation over permutations).
    """
    entropy = _entropy(np.bincount(label))
    if entropy == 0 or len(np.unique(block)) < 2:
        return 0.0, 1.0
    rng = np.random.default_rng(seed)
    observed = _mutual_information(label, block)
    permuted = np.array([_mutual_information(rng.permutation(label), block) for _ in range(N_PERMUTATIONS)])
    room = entropy - permuted.mean()
    # with as many blocks as trials every labelling is told, and nothing is left to adjust
    return (float((observed - permuted.mean()) / room) if room > 1e-9 else 0.0), p_of(observed, permuted)


def check_blocks(trials: Trials, test: np.ndarray, seed: int = 0) -> Check:
    """Check whether the recording block or run tells the class of a test trial: "class = recording block"."""
    name = "class against recording block"
    told = [column for column in ("session", "run", "block") if (getattr(trials, column) != "").any()]
    if not told:
        sentence = "The data name no recording blocks or runs, so class against block could not be checked."
        return Check(name, None, None, sentence)
    block, label = trials.groups("subject", *told)[1][test], trials.label[test]
    n_blocks, classes = len(np.unique(block)), np.unique(label)
    if n_blocks < 2 or len(classes) < 2:
        sentence = f"The test trials lie in {_count(n_blocks, 'recording block')}, which cannot tell their class."
        return Check(name, True, 0.0, sentence)
    share, p = shared_information(label, block, seed)
    if share > TOLERATED and p <= ALPHA:
        nested = all(len(np.unique(block[label == c])) == 1 for c in classes)
        pure = all(len(np.unique(label[block == b])) == 1 for b in np.unique(block))
        how = "every class was recorded in one block only" if nested else "every block holds one class only"
        how = how if nested or pure else "classes are unevenly spread over blocks"
        sentence = f"Class = recording block: {how}, and the block tells {share:.0%} of the class. "
        return Check(name, False, share, sentence + "Scores may show slow drift, not vision.")
    sentence = (
        f"The recording block tells {max(share, 0):.1%} of the class ({n_blocks} blocks, {len(classes)} classes)."
    )
    return Check(name, True, share, sentence)


def check_time(trials: Trials, chosen: np.ndarray, seed: int = 0) -> Check:
    """Check whether trials next to each other in time share their class more often than shuffled ones."""
    name = "class against time"
    recording = trials.groups("subject", "session", "run", "block")[1][chosen]
    order = np.lexsort((trials.onset[chosen], recording))
    recording, label, onset = recording[order], trials.label[chosen][order], trials.onset[chosen][order]
    beside = (recording[1:] == recording[:-1]) & (onset[1:] > onset[:-1])
    if beside.sum() < MIN_TRIALS:
        sentence = "The data do not say when trials happened, so class against time could not be checked."
        return Check(name, None, None, sentence)

    def neighbours_alike(label: np.ndarray) -> float:
        return float((label[1:] == label[:-1])[beside].mean())

    rng, same = np.random.default_rng(seed), neighbours_alike(label)
    permuted = np.array([neighbours_alike(rng.permutation(label)) for _ in range(N_PERMUTATIONS)])
    expected, p = float(permuted.mean()), p_of(same, permuted)
    excess = (same - expected) / max(1 - expected, 1e-9)
    sentence = f"{same:.1%} of neighbours in time share their class; {expected:.1%} would if shuffled."
    if excess > TOLERATED and p <= ALPHA:
        sentence += " Trials of one class follow each other, so a decoder may learn the time instead of the picture."
        return Check(name, False, excess, sentence)
    return Check(name, True, excess, sentence)


def check_concepts(trials: Trials, rows: dict[str, np.ndarray]) -> Check:
    """Check that test classes are all new (zero-shot) or all trained on (classification), never some of each."""
    train, test = (np.unique(trials.label[rows[part]]) for part in ("train", "test"))
    shared = np.intersect1d(train, test)
    share = len(shared) / len(test)
    if not len(shared):
        sentence = f"None of the {len(test)} test concepts was trained on."
    elif len(shared) == len(test):
        sentence = (
            f"All {len(test)} test classes were trained on: this is classification of known classes, not of new ones."
        )
    else:
        few = ", ".join(str(trials.labels[i]) for i in shared[:3]) + (" …" if len(shared) > 3 else "")
        sentence = f"{len(shared)} of {len(test)} test concepts were trained on ({few}) and the rest were not."
    return Check("test concepts", share in (0.0, 1.0), share, sentence)


def check_pictures(trials: Trials, rows: dict[str, np.ndarray]) -> Check:
    """Check that no test picture was shown in training or validation, in any repetition and to any subject."""
    name = "test pictures"
    test = np.unique(trials.image_id[rows["test"]])
    met = {part: np.intersect1d(test, trials.image_id[rows[part]]) for part in rows if part != "test"}
    seen = len(set().union(*(found.tolist() for found in met.values())))
    if not seen:
        return Check(name, True, 0.0, f"None of the {len(test)} test pictures was shown in training or validation.")
    if (trials.image_id == np.array(trials.labels)[trials.label]).all():
        # build_trials puts the label where a table has no image_id
        sentence = "The data do not name their pictures, so pictures shown in training and test could not be checked."
        return Check(name, None, None, sentence)
    where = " and ".join(f"{len(found)} in {part}" for part, found in met.items() if len(found))
    sentence = (
        f"{seen} of {len(test)} test pictures were shown outside the test too ({where}): their repeats are split."
    )
    return Check(name, False, seen / len(test), sentence)


def check_presentations(trials: Trials, rows: dict[str, np.ndarray]) -> Check:
    """Check that no single presentation (one moment of one recording) is in the test and in another split."""
    name = "test presentations"
    test = _presentations(trials, rows["test"])
    others = set().union(*(_presentations(trials, rows[part]) for part in rows if part != "test"))
    if len(test) < len(rows["test"]) / 2:
        sentence = "The data do not say when trials happened, so doubled presentations could not be checked."
        return Check(name, None, None, sentence)
    if shared := len(test & others):
        sentence = f"{shared} of {len(test)} test presentations are in another split too."
        return Check(name, False, shared / len(test), sentence)
    return Check(name, True, 0.0, f"None of the {len(test)} test presentations is in another split.")


def check_prestimulus(
    windows: np.ndarray, label: np.ndarray, groups: np.ndarray, n_permutations: int = N_PERMUTATIONS, seed: int = 0
) -> Check:
    """Check that EEG from before the picture, windows (n, n_channels, n_times), does not tell its class, label (n,).

    groups: (n,), runs; one is held out at a time, as in `decode_prestimulus`.
    """
    name = "before the picture"
    if len(np.unique(label)) < 2 or len(label) < MIN_TRIALS:
        return Check(name, None, None, "Too few trials or classes to decode the time before the picture.")
    found = decode_prestimulus(windows, label, groups, n_permutations, seed)
    figures = f"{found.kind} {found.value:.3f}, {found.shuffled:.3f} if shuffled, p = {found.p_value:.2g}"
    if found.p_value <= ALPHA:
        sentence = f"The class can be read before the picture is shown ({figures}): the score is not all vision."
        return Check(name, False, found.value, sentence)
    return Check(name, True, found.value, f"Before the picture is shown its class cannot be read ({figures}).")


def _count(n: int, noun: str) -> str:
    return f"one {noun}" if n == 1 else f"{n} {noun}s"


def _presentations(trials: Trials, rows: np.ndarray) -> set[tuple]:
    columns = ("subject", "session", "run", "block")
    places = (getattr(trials, column)[rows].tolist() for column in columns)
    return set(zip(*places, np.round(trials.onset[rows], 4).tolist(), strict=True))


def _entropy(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def _mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    both = np.unique(a.astype(np.int64) * (int(b.max()) + 1) + b, return_counts=True)[1]
    return _entropy(np.bincount(a)) + _entropy(np.bincount(b)) - _entropy(both)
