"""Every leak check that a trial store and a split of it allow: what each command runs and prints first."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.leaks.check import Check, check_lines, not_checked, verdict
from core.leaks.leak_input import LeakInput
from core.leaks.registry import run_checks
from core.preprocessing.trials import Trials

from ...store.store import TrialStore

QUALITY, QUALITY_NAME = "quality.json", "the recordings' own report"
# checks whose answer depends on who is held out
OF_A_SPLIT = (
    "test presentations",
    "overlapping windows",
    "test pictures",
    "test concepts",
    "same picture under two names",
    "averages across the split",
)
MAX_PICTURES = 2000


def leak_input(
    store: TrialStore,
    trials: Trials,
    parts: Mapping[str, np.ndarray] | None = None,
    images: Path | None = None,
    seed: int = 0,
) -> LeakInput:
    """Return what the checks of core.leaks are handed, for a store's trials, all of them and in its order.

    parts: by default the split that the data set prescribes, if it does; {} for none. images: folder of the pictures
    that the trials name.
    """
    if parts is None:
        parts = {name: np.flatnonzero(trials.split == name) for name in ("train", "val", "test")}
        parts = parts if len(parts["test"]) else {}
    recording = store.recordings()
    return LeakInput(
        trials,
        parts,
        sfreq=store.config.sfreq,
        tmin=store.config.tmin,
        l_freq=store.config.l_freq,
        recording=recording if len(recording) == len(trials) else None,
        evidence=store.evidence() if len(recording) == len(trials) else {},
        pictures=pictures_at_hand(images, np.unique(trials.image_id).tolist()),
        seed=seed,
    )


def store_checks(
    store: TrialStore,
    trials: Trials | None = None,
    parts: Mapping[str, np.ndarray] | None = None,
    images: Path | None = None,
    seed: int = 0,
) -> list[Check]:
    """Return every check of a store, of a split of it where `parts` has one, with what its quality report found."""
    trials = store.trials() if trials is None else trials
    return [*run_checks(leak_input(store, trials, parts, images, seed)), check_quality(store)]


def fold_checks(
    store: TrialStore,
    trials: Trials,
    folds: Iterable[Mapping[str, np.ndarray]],
    images: Path | None = None,
    seed: int = 0,
) -> list[Check]:
    """Return every check of a store and several splits of it; a check of the split fails where it fails in any."""
    whole = [*run_checks(leak_input(store, trials, {}, images, seed)), check_quality(store)]
    return with_folds(whole, store, trials, folds, images, seed)


def with_folds(
    checks: list[Check],
    store: TrialStore,
    trials: Trials,
    folds: Iterable[Mapping[str, np.ndarray]],
    images: Path | None = None,
    seed: int = 0,
) -> list[Check]:
    """Return checks with what they say of several more splits: a check of the split fails where it fails in any."""
    found = {check.name: check for check in checks}
    known = replace(leak_input(store, trials, {}, images, seed), evidence={})
    for parts in folds:
        for check in run_checks(replace(known, parts=parts), OF_A_SPLIT):
            if found[check.name].passed is None or check.passed is False:
                found[check.name] = check
    return list(found.values())


def check_quality(store: TrialStore) -> Check:
    """Check what `prepare.py` found in the recordings: their quality.json may name a leak that no window shows."""
    path = store.folder / QUALITY
    if not path.is_file():
        return not_checked(
            QUALITY_NAME, f"the store has no {QUALITY}; prepare.py writes it for a person's own recordings"
        )
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        failed = [one for one in report["checks"] if one["passed"] is False]
    except (ValueError, KeyError, TypeError) as error:
        return not_checked(QUALITY_NAME, f"{QUALITY} cannot be read ({error})")
    if failed:
        named = "; ".join(str(one["name"]) for one in failed)
        sentence = f"When the recordings were prepared, {len(failed)} checks failed: {named}."
        return Check(QUALITY_NAME, False, float(len(failed)), sentence)
    return Check(QUALITY_NAME, True, 0.0, "No check failed when the recordings were prepared.")


def pictures_at_hand(images: Path | None, names: list[str]) -> dict[str, np.ndarray]:
    """Return the pictures of image ids that a folder holds, uint8 (H, W, 3); a name without a file is left out."""
    from PIL import Image

    from ...targets.features.pictures import picture_files

    if images is None or not images.is_dir() or len(names) > MAX_PICTURES:
        return {}
    found = {}
    for name in names:
        try:
            with Image.open(picture_files(images, name)[0]) as picture:
                picture.draft("RGB", (128, 128))
                found[name] = np.asarray(picture.convert("RGB"))
        except (OSError, ValueError):
            continue
    return found


def print_checks(checks: list[Check]) -> None:
    """Print the line that sums the checks up, and a line for each that failed or could not be made."""
    print("\n".join([verdict(checks), *check_lines(checks)]), flush=True)
