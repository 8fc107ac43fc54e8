"""Controls beside the scores: is it the picture, or the block, the person, the slow frequencies?

    python trainer/controls.py runs/first --bands --leave-one-subject-out --block-permuted
    python trainer/controls.py runs/store --bands

Each control fits one cheap decoder (trainer/evaluation/plain_decoder.py) to single presentations of the run's training
split and scores its test split. A run's report gets a section with the table. Nothing named does all of them.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np
import tyro

from core.preprocessing.trials import Trials
from core.scoring.design import Units
from core.scoring.families import holm
from core.scoring.intervals import joined_interval, share_interval
from core.scoring.permutations import SHARED_AT_MOST, null_of, permuted_by_units
from trainer.config.options import train_options
from trainer.console import run
from trainer.evaluation.band_views import band_views
from trainer.evaluation.design import units_of
from trainer.evaluation.leaks.store_checks import print_checks, store_checks
from trainer.evaluation.plain_decoder import Scored, decode, features_of_trials
from trainer.protocols.fold import FoldOptions, TooLittle
from trainer.protocols.registry import Protocol, protocol_named
from trainer.reports.run_report import append_section
from trainer.store.store import TrialStore, open_store
from trainer.training.splits import split_trials

TITLE = "Controls"
TEXT = (
    "One cheap decoder (linear discriminants of binned samples and log power, single presentations) under conditions "
    "that a score of vision should survive, or must not."
)
TEST_SHARE = 0.2
PERMUTATIONS = 1000
DRAWS = 5  # of labels dealt anew


@dataclass(frozen=True)
class ControlOptions:
    """Which controls are made of what."""

    of: tyro.conf.Positional[Path]
    """Folder of a run or of a trial store."""
    bands: bool = False
    """The same in other frequency bands: raw, 5-95, 14-70 and 55-95 Hz."""
    leave_one_subject_out: bool = False
    """Each person decoded by what was fitted to the others."""
    protocol: tuple[str, ...] = ()
    """The same for the folds of any protocol: leave-one-run-out, leave-one-subject-out, cross-session,
    k-fold-by-picture.
    """
    n_folds: int = 5
    """Into how many folds k-fold-by-picture deals the pictures."""
    block_permuted: bool = False
    """Labels shuffled inside recording blocks, and blocks given one another's labels."""
    data: Path | None = None
    """A run's trial store, where it has moved."""
    source: Path | None = None
    """Folder of the data set, to filter recordings before they are cut."""
    seed: int = 0


@dataclass(frozen=True)
class Material:
    """A store's trials with their features (n, d) and who trains and tests.

    prescribed: the test before trials of classes that were not trained on are left out.
    """

    store: TrialStore
    trials: Trials
    features: np.ndarray
    train: np.ndarray
    test: np.ndarray
    prescribed: np.ndarray
    images: Path | None = None


def load_material(options: ControlOptions) -> Material:
    """Return a run's or a store's trials; a store without a test split gets a fifth of its pictures, drawn by seed.

    Validation trials train too, since nothing is selected. Raises ValueError where no test class was trained on.
    """
    is_run = (options.of / "options.json").is_file()
    if is_run:
        from trainer.training.run_folder import load_options

        chosen = load_options(options.of)
        store = open_store(options.data or chosen.data.store)
    else:
        store, chosen = open_store(options.of), train_options(data=options.of, val_share=0.0, seed=options.seed)
    trials = store.trials()
    parts = split_trials(trials, chosen)
    train, test = np.sort(np.concatenate([parts["train"], parts["val"]])), parts["test"]
    if not len(test):
        train, test = _hold_out(trials, train, options.seed)
    known = np.isin(trials.label[test], trials.label[train])
    if not known.any():
        raise ValueError(
            "none of the test classes was trained on, so a classifier cannot be tested; controls need classes that are "
            "in both splits (for the phantom: prepare.py phantom --classes 40)"
        )
    return Material(store, trials, features_of_trials(trials), train, test[known], test, chosen.targets.images)


def _hold_out(trials: Trials, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng, pictures = np.random.default_rng([seed, 13]), trials.image_id[rows]
    distinct = np.unique(pictures)
    if len(distinct) <= 2 * len(trials.labels):  # few pictures shown often: none can be spared
        is_test = rng.random(len(rows)) < TEST_SHARE
    else:
        is_test = np.isin(pictures, rng.permutation(distinct)[: round(TEST_SHARE * len(distinct))])
    return rows[~is_test], rows[is_test]


def row_of(name: str, scored: Scored, label: np.ndarray, units: Units, note: str = "") -> dict:
    """Return a row of the table: accuracy on test trials with its interval, chance and a permutation p.

    label: (n_test,). units: of the test trials, what is shuffled and drawn as a whole.
    """
    hits = (scored.labels == label).astype(float)
    permuted = permuted_by_units(scored.labels, label, _same, units, PERMUTATIONS)
    null = null_of(float(hits.mean()), permuted, units, label)
    low, high = share_interval(hits, units.unit)
    said = [note] if note else []
    if len(units) < len(label):
        said.append(f"{len(units)} {units.name}s shuffled and drawn as wholes")
    if null.p_value <= 4 * null.least:
        said.append(f"p can be no less than {null.least:.2g}")
    return {
        "control": name,
        "accuracy": float(hits.mean()),
        "interval": [low, high],
        "chance": 1 / len(scored.classes),
        "p": null.p_value,
        "trials": len(label),
        "note": "; ".join(said),
    }


def _same(found: np.ndarray, given: np.ndarray) -> float:
    return float((found == given).mean())


def missing_row(name: str, note: str) -> dict:
    """Return a row that says why a control could not be made."""
    return {"control": name, **dict.fromkeys(("accuracy", "interval", "chance", "p", "trials")), "note": note}


def plain_row(material: Material) -> dict:
    """Return the decoder's own accuracy, which the controls are read against."""
    label, test = material.trials.label, material.test
    scored = decode(material.features, label, material.train, test)
    return row_of("no control", scored, label[test], _units(material.trials, test), "the split of the run")


def _units(trials: Trials, rows: np.ndarray) -> Units:
    return units_of(trials.select_columns(rows))


def band_rows(material: Material, source: Path | None) -> Iterator[dict]:
    """Yield a row for each frequency band; one that cannot be had says why."""
    trials = material.trials
    for view in band_views(material.store, trials, source):
        name = f"band {view.name}" + ("" if view.name == "raw" else " Hz")
        if view.features is None:
            yield missing_row(name, view.note)
            continue
        scored = decode(view.features, trials.label, material.train, material.test)
        yield row_of(name, scored, trials.label[material.test], _units(trials, material.test), view.note)


def blocks_of(trials: Trials) -> np.ndarray | None:
    """Return the number of each trial's recording block (n,), or None where the store names none."""
    columns = [name for name in ("session", "run", "block") if (getattr(trials, name) != "").any()]
    return trials.select_columns(np.arange(len(trials))).groups("subject", *columns)[1] if columns else None


def one_class_each(material: Material, block: np.ndarray | None) -> bool:
    """Tell whether every block holds trials of one class only: class = recording block."""
    if block is None:
        return False
    used = np.concatenate([material.train, material.test])
    pairs = np.unique(np.stack([block[used], material.trials.label[used]]), axis=1)
    return pairs.shape[1] == len(np.unique(block[used]))


def fold_rows(material: Material, protocol: Protocol, options: FoldOptions) -> Iterator[dict]:
    """Yield a row for each fold of a protocol decoded by the others' training trials, after one for all of them
    together.

    The material's own split stays inside: a fold trains on training trials and tests test trials only. Where the store
    lacks what the protocol needs, the one row says so.
    """
    trials, title = material.trials, protocol.name.replace("-", " ")
    try:
        folds = list(protocol.folds(trials, options))
    except TooLittle as error:
        yield missing_row(title, f"impossible here: {error.found}")
        return
    block = blocks_of(trials)
    confounded = one_class_each(material, block)
    rows, shares, intervals, n_classes, n = [], [], [], [], 0
    for fold in folds:
        train = material.train[np.isin(material.train, np.concatenate([fold.train, fold.val]))]
        test = material.test[np.isin(material.test, fold.test)]
        test = test[np.isin(trials.label[test], trials.label[train])]
        if not len(test) or len(np.unique(trials.label[train])) < 2:
            rows.append(missing_row(f"  {fold.name}", "no test trials of classes that others saw"))
            continue
        scored = decode(material.features, trials.label, train, test)
        note, units = "fitted to the others", _units(trials, test)
        if confounded and block is not None:  # a block is right or wrong as a whole
            member = np.unique(block[test], return_inverse=True)[1].reshape(-1)
            units, note = (
                Units("block", member, np.zeros(member.max() + 1, dtype=np.int64)),
                f"{note}; blocks count as one",
            )
        row = row_of(f"  {fold.name}", scored, trials.label[test], units, note)
        rows.append(row)
        shares.append(row["accuracy"])
        intervals.append(row["interval"])
        n_classes.append(len(scored.classes))
        n += len(test)
    if shares:
        low, high = joined_interval(shares, intervals, SHARED_AT_MOST, between=not protocol.by_picture)
        yield {
            "control": title,
            "accuracy": float(np.mean(shares)),
            "interval": [max(low, 0.0), min(high, 1.0)],
            "chance": float(np.mean([1 / count for count in n_classes])),
            "p": None,
            "trials": n,
            "note": f"{len(shares)} {protocol.units}; what {protocol.units} differ by counts in the interval",
        }
    yield from rows


def block_rows(material: Material, seed: int) -> Iterator[dict]:
    """Yield the accuracy for labels shuffled inside blocks, and where each block holds one class also for blocks that
    got one another's labels.

    Inside blocks: what is left was told by the block alone. Exchanged: names that mean nothing, learnt as well as the
    true ones, show that blocks are decoded.
    """
    block = blocks_of(material.trials)
    if block is None:
        yield missing_row("labels shuffled inside blocks", "impossible here: the store names no block or run")
        return
    yield _shuffled_row(material, block, "labels shuffled inside blocks", _shuffle_inside, seed, "what the block tells")
    if one_class_each(material, block):
        name, note = "blocks given one another's labels", "each person's blocks by themselves"
        yield _shuffled_row(material, block, name, _exchange, seed, note)


def _shuffled_row(
    material: Material,
    block: np.ndarray,
    name: str,
    shuffle: Callable[[Trials, np.ndarray, np.random.Generator], np.ndarray],
    seed: int,
    note: str,
) -> dict:
    trials, test, rows = material.trials, material.test, []
    for draw in range(DRAWS):
        label = shuffle(trials, block, np.random.default_rng([seed, 17, draw]))
        known = test[np.isin(label[test], label[material.train])]
        scored = decode(material.features, label, material.train, known)
        rows.append(row_of(name, scored, label[known], _units(replace(trials, label=label), known)))
    values = [row["accuracy"] for row in rows]
    middle = rows[int(np.argsort(values)[len(values) // 2])]
    return middle | {"note": f"{note}; the middle of {DRAWS} draws, {min(values):.3f} to {max(values):.3f}"}


def _shuffle_inside(trials: Trials, block: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    label = trials.label.copy()
    for number in np.unique(block):
        place = np.flatnonzero(block == number)
        label[place] = label[rng.permutation(place)]
    return label


def _exchange(trials: Trials, block: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    label = trials.label.copy()
    for person in np.unique(trials.subject):
        blocks = np.unique(block[trials.subject == person])
        first = np.array([trials.label[block == number][0] for number in blocks])
        for number, given in zip(blocks, rng.permutation(first), strict=True):
            label[block == number] = given
    return label


def controls(options: ControlOptions) -> list[dict]:
    """Make the controls, add them to a run's report and return the rows."""
    protocols = [protocol_named(name) for name in options.protocol]
    material = load_material(options)
    split = {"train": material.train, "test": material.prescribed}
    print_checks(store_checks(material.store, material.trials, split, material.images))
    all_of_them = not (options.bands or options.leave_one_subject_out or options.protocol or options.block_permuted)
    if options.leave_one_subject_out or all_of_them:
        protocols.insert(0, protocol_named("leave-one-subject-out"))
    rows = [plain_row(material)]
    if options.bands or all_of_them:
        rows += band_rows(material, options.source)
    for protocol in dict.fromkeys(protocols):
        rows += fold_rows(material, protocol, FoldOptions(n_folds=options.n_folds, seed=options.seed))
    if options.block_permuted or all_of_them:
        rows += block_rows(material, options.seed)
    rows = [row | {"p (Holm)": p} for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True)]
    if (options.of / "report.json").is_file():
        append_section(options.of, {"title": TITLE, "text": TEXT, "table": rows})
    return rows


def table(rows: list[dict]) -> str:
    """Return the rows as lines of text."""
    lines = [f"{'control':36} {'accuracy':>8} {'95 % interval':>16} {'chance':>7} {'p':>7} {'p Holm':>7} "
             f"{'trials':>7}  note"]  # fmt: skip
    for row in rows:
        if row["accuracy"] is None:
            lines.append(f"{row['control']:36} {'-':>8} {'':16} {'':7} {'':7} {'':7} {'':7}  {row['note']}")
            continue
        low, high = row["interval"]
        both = (row["p"], row.get("p (Holm)"))
        p = " ".join("      -" if one is None else f"{one:7.3g}" for one in both)
        lines.append(
            f"{row['control']:36} {row['accuracy']:8.3f} {f'{low:.3f} to {high:.3f}':>16} {row['chance']:7.3f} {p} "
            f"{row['trials']:7d}  {row['note']}"
        )
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, make the controls, print them as a table and as one JSON object."""
    options = tyro.cli(ControlOptions, description=__doc__)
    rows = controls(options)
    print(table(rows))
    if not (options.of / "report.json").is_file() and (options.of / "options.json").is_file():
        print(f"no report at {options.of} yet: run trainer/evaluate.py first to have the controls beside its scores")
    print(json.dumps({"controls": rows}))


if __name__ == "__main__":
    run(main)
