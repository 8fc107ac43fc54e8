"""Which trials a training leaves for the test, where the store prescribes none: a run, a person, pictures or a stretch
of time.
"""

from collections.abc import Callable

import numpy as np

from core.preprocessing.trials import Trials

from .fold import FoldOptions, names

AUTO, NONE = "auto", "none"
SHARE = 0.2  # of the pictures, or of a run's time
APART_S = 5.0  # between what trains and a stretch of time that tests


def tested(trials: Trials, chosen: np.ndarray, options: FoldOptions) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the chosen trials (n,) test, and which lie too near to these in time to train, both bool (n,).

    Raises ValueError where the run or the person does not exist, or `options.test` is not possible with these trials.
    """
    nothing = np.zeros(len(chosen), dtype=bool)
    if options.test_run and options.test_subject:
        raise ValueError("give --test-run or --test-subject, not both")
    for flag, column, name in (("run", "run", options.test_run), ("subject", "subject", options.test_subject)):
        if name:
            values = getattr(trials, column)[chosen]
            if not (values == name).any():
                raise ValueError(f"no trials of {flag} {name!r}; the store has {names(values, 12)}")
            return values == name, nothing
    if options.test in (AUTO, NONE):
        return nothing, nothing
    found, near = _WAYS[options.test](trials, chosen, options.seed)
    if why := _why_not(trials, chosen, found, near):
        raise ValueError(f"--test {options.test} is not possible here: {why}")
    return found, near


def choose_test(trials: Trials, chosen: np.ndarray, options: FoldOptions) -> tuple[str, str]:
    """Return the value of `FoldOptions.test` that suits the chosen trials (n,), and a sentence on what tests and why.

    Other runs come first, since neighbours in time share drifts; pictures where the runs show the same ones again; then
    another person; then the last stretch of time. "none" where there is one label, or nothing can be left out.
    """
    if len(np.unique(trials.label[chosen])) < 2:
        return NONE, "nothing is held out for a test: there is one label only"
    reasons: list[str] = []
    for way in ("run", "picture", "person", "time"):
        if way == "picture" and not _pictures_known(trials, chosen):
            reasons.append("not by picture: they are few, or not told")
            continue
        found, near = _WAYS[way](trials, chosen, options.seed)
        why = _why_not(trials, chosen, found, near)
        if not why and way == "run" and _pictures_known(trials, chosen) and _shared(trials, chosen, found):
            why = "the other runs show the same pictures"
        if not why:
            return way, f"{_in_words(trials, chosen, found, way)}{_because(reasons)}"
        reasons.append(f"not by {way}: {why}")
    return NONE, f"nothing is held out for a test{_because(reasons)}"


def _because(reasons: list[str]) -> str:
    return f" ({'; '.join(reasons)})" if reasons else ""


def _in_words(trials: Trials, chosen: np.ndarray, found: np.ndarray, way: str) -> str:
    rows = chosen[found]
    pictures = len(np.unique(trials.image_id[rows]))
    what = {
        "run": f"the last run of {'each person' if len(np.unique(trials.subject[rows])) > 1 else 'the person'}, "
        f"{names(trials.run[rows])}",
        "picture": f"{pictures} of {len(np.unique(trials.image_id[chosen]))} pictures with all their repeats",
        "person": f"another person, {names(trials.subject[rows])}",
        "time": f"the last fifth of each run, {APART_S:g} s apart from what trains",
    }[way]
    return f"tested on {what}: {len(rows)} trials"


def _why_not(trials: Trials, chosen: np.ndarray, found: np.ndarray, near: np.ndarray) -> str:
    labels = np.unique(trials.label[chosen])
    if not found.any():
        return "there is nothing to leave out"
    left = np.unique(trials.label[chosen[~found & ~near]])
    if len(np.unique(trials.label[chosen[found]])) < min(2, len(labels)):
        return "what would be left out has one label only"
    if len(left) < len(labels):
        return "what is left would lack a label"
    return ""


def _pictures_known(trials: Trials, chosen: np.ndarray) -> bool:
    return len(np.unique(trials.image_id[chosen])) > 2 * len(trials.labels)


def _shared(trials: Trials, chosen: np.ndarray, found: np.ndarray) -> bool:
    return bool(np.isin(trials.image_id[chosen[found]], trials.image_id[chosen[~found]]).any())


def _last_runs(trials: Trials, chosen: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose the last run of each person who has several, by the runs' names."""
    subject, run = trials.subject[chosen], trials.run[chosen]
    found = np.zeros(len(chosen), dtype=bool)
    for person in np.unique(subject):
        own = np.unique(run[subject == person])
        if len(own) > 1:
            found |= (subject == person) & (run == own[-1])
    return found, np.zeros_like(found)


def _last_person(trials: Trials, chosen: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    subject = trials.subject[chosen]
    people = np.unique(subject)
    found = (subject == people[-1]) if len(people) > 1 else np.zeros(len(chosen), dtype=bool)
    return found, np.zeros_like(found)


def _some_pictures(trials: Trials, chosen: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose a fifth of each label's pictures, drawn from the seed."""
    rng, found = np.random.default_rng([seed, 43]), np.zeros(len(chosen), dtype=bool)
    for label in np.unique(trials.label[chosen]):
        pictures = np.unique(trials.image_id[chosen][trials.label[chosen] == label])
        n = round(SHARE * len(pictures))
        found |= np.isin(trials.image_id[chosen], rng.permutation(pictures)[:n])
    return found, np.zeros_like(found)


def _last_stretch(trials: Trials, chosen: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    found, near = np.zeros((2, len(chosen)), dtype=bool)
    onset, (_, group) = trials.onset[chosen], trials.select_columns(chosen).groups("subject", "session", "run")
    for number in np.unique(group):
        own = np.flatnonzero(group == number)
        own = own[np.argsort(onset[own], kind="stable")]
        last = own[len(own) - round(SHARE * len(own)) :]
        if len(last):
            found[last] = True
            near[own[(onset[own] > onset[last].min() - APART_S) & ~found[own]]] = True
    return found, near


_WAYS: dict[str, Callable[[Trials, np.ndarray, int], tuple[np.ndarray, np.ndarray]]] = {
    "run": _last_runs,
    "person": _last_person,
    "picture": _some_pictures,
    "time": _last_stretch,
}
