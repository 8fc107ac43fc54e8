"""Cut recordings into a trial store, which train.py, evaluate.py and the benchmarks read.

    python trainer/prepare.py phantom --out runs/phantom-store
    python trainer/prepare.py n170 --source FOLDER --out runs/n170-store --jobs 2
    python trainer/prepare.py recordings --source FOLDER --events 1=house 2=face --out runs/mine
    python trainer/prepare.py recordings --source FOLDER --table shown.csv --out runs/mine
    python trainer/prepare.py DATASET --help

Finished recordings are not done again: the same command goes on after a kill, or adds what is new in the folder.
"""

import sys
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from trainer import console
from trainer.datasets import DATASETS
from trainer.evaluation.leaks.store_checks import print_checks, store_checks
from trainer.store.dataset import Dataset
from trainer.store.finished import check_all_are_here
from trainer.store.store import STORE, TrialStore, open_store, write_store

MOST_PEOPLE = 12
ALSO = {"--folder": "--source", "--workers": "--jobs"}
SUMMARY = "Cut recordings into a trial store, which train.py, evaluate.py and the benchmarks read."


@dataclass(frozen=True)
class StoreOptions:
    """Where from and where to."""

    out: Path
    """folder of the trial store; one that exists is gone on with"""
    source: Path | None = None
    """folder of recordings (also --folder)"""
    jobs: int = 1
    """processes, one recording each (also --workers)"""
    backend: str = "processes"
    """where recordings are prepared: processes (of this machine), dask or ray"""
    address: str = ""
    """of a cluster that runs already: tcp://HOST:8786 for dask, HOST:6379 for ray; its workers see the same paths"""
    resume: bool = True
    """go on with a store that is there already; with --no-resume that is an error"""
    skip_bad: bool = False
    """go on without recordings that cannot be read, too, and list them (those without EEG, or without what is to be
    cut, are always left out and listed)"""
    quality: bool = True
    """of a person's own recordings: measure and print their quality, and keep it in the store as quality.json"""


def prepare(
    name: str,
    source: Path | str | None,
    out: Path | str,
    options: Any = None,
    *,
    jobs: int = 1,
    resume: bool = True,
    skip_bad: bool = False,
    progress: bool = True,
    backend: str = "processes",
    address: str = "",
) -> TrialStore:
    """Prepare a data set into a store; `options` is an instance of its options class, by default with its defaults.

    Raises ValueError for an unknown data set (the known ones are listed) and whatever its reader and `write_store`
    raise.
    """
    dataset = dataset_named(name)
    options = dataset.options() if options is None else options
    source = None if source is None else Path(source)
    if dataset.needs_source and source is None:
        raise ValueError(f"data set {name!r} needs --source FOLDER: {dataset.description}")
    sessions = dataset.sessions(source, options)
    if source is not None and (Path(out) / STORE).is_file():
        recorded = open_store(out, unfinished=True).info["sessions"]
        check_all_are_here(Path(out), list(recorded), sessions, source)
    config = dataset.preprocessing(source, options)
    provenance = dataset.provenance(source, options)
    return write_store(
        out,
        sessions,
        config,
        provenance=provenance,
        labels=dataset.labels,
        jobs=jobs,
        resume=resume,
        skip_bad=skip_bad,
        progress=progress,
        backend=backend,
        address=address,
    )


def quality(name: str, source: Path | str | None, store: TrialStore, options: Any, jobs: int = 1) -> str | None:
    """Measure the quality of a person's own recordings in a store, write quality.json there, and return it as text.

    Its first line says whether the labels leak. None for data sets that are not a person's own.
    """
    from trainer.quality.quality_text import quality_text
    from trainer.quality.recording_quality import write_quality

    dataset = dataset_named(name)
    if dataset.left_out is None:
        return None
    source = None if source is None else Path(source)
    passed_over = dataset.left_out(source, options)
    return quality_text(write_quality(store, dataset.sessions(source, options), passed_over, jobs=jobs))


def dataset_named(name: str) -> Dataset:
    """Return an entry of DATASETS. Raises ValueError listing them."""
    if name not in DATASETS:
        known = "; ".join(f"{d.name}: {d.description}" for d in DATASETS.values())
        raise ValueError(f"no data set {name!r}; known are {known}")
    return DATASETS[name]


def summary(store: TrialStore) -> str:
    """Return readable lines: recordings, trials kept, what was rejected and why, how many of each label."""
    info = store.info
    config = store.config
    rejected = store.rejected()
    counts = info["label_counts"]
    people = who(store)
    lines = [
        f"{store.folder}: {info['provenance'].get('dataset', '')}"
        + (f" ({credit})" if (credit := info["provenance"].get("credit")) else ""),
        f"  recordings  {len(info['sessions'])}" + (f", {len(info['failed'])} left out" if info["failed"] else ""),
        *([f"  people      {people}"] if people else []),
        f"  trials      {len(store)} kept, {sum(rejected.values())} rejected",
        *(f"              {n} x {reason}" for reason, n in rejected.most_common(8)),
        f"  window      {config.tmin:g} to {config.tmax:g} s, {config.n_times} samples at {config.sfreq:g} Hz",
        f"  channels    {len(config.ch_names)}: {' '.join(config.ch_names)}",
    ]
    if len(counts) == 1:
        lines.append(f"  labels      {next(iter(counts))} only: one label, so there is nothing to tell apart")
    elif len(counts) <= 12:
        lines.append("  labels      " + ", ".join(f"{label} {n}" for label, n in counts.items()))
    else:
        values = sorted(counts.values())
        lines.append(f"  labels      {len(counts)}, each {values[0]} to {values[-1]} times")
    lines += [f"  left out    {key}: {why}" for key, why in info["failed"].items()]
    return "\n".join(lines)


def who(store: TrialStore) -> str:
    """Return a store's people with their sessions and runs, in words; "" where no trial says whose it is."""
    trials = store.trials()
    rows = sorted(set(zip(trials.subject.tolist(), trials.session.tolist(), trials.run.tolist(), strict=True)))
    people: dict[str, list[tuple[str, str]]] = {}
    for subject, session, run in rows:
        people.setdefault(subject, []).append((session, run))
    if set(people) <= {""}:
        return ""
    told = []
    for subject, of in list(people.items())[:MOST_PEOPLE]:
        sessions = len({session for session, _ in of if session})
        counted = [f"{sessions} session{'s' * (sessions != 1)}"] if sessions else []
        told.append(f"{subject or 'of no name'} ({', '.join([*counted, f'{len(of)} run' + 's' * (len(of) != 1)])})")
    return "; ".join(told) + (f" and {len(people) - MOST_PEOPLE} more" if len(people) > MOST_PEOPLE else "")


def parse(arguments: list[str]) -> tuple[str, StoreOptions, Any]:
    """Return the data set's name, the store's options and its own. Raises ValueError for an unknown data set."""
    import tyro

    if arguments and not arguments[0].startswith("-"):
        dataset_named(arguments[0])
    arguments = [
        ALSO.get(word.partition("=")[0], word.partition("=")[0]) + "".join(word.partition("=")[1:])
        if word.startswith("--")
        else word
        for word in arguments
    ]
    commands = {}
    for dataset in DATASETS.values():
        flat = tyro.conf.arg(name="")
        parts = [("store", Annotated[StoreOptions, flat]), ("options", Annotated[dataset.options, flat])]
        commands[dataset.name] = make_dataclass(dataset.name, [(n, t) for n, t in parts], frozen=True)
        commands[dataset.name].__doc__ = dataset.description
    chosen = tyro.extras.subcommand_cli_from_dict(commands, args=arguments, description=SUMMARY)
    return type(chosen).__name__, chosen.store, chosen.options


def main() -> None:
    """Prepare what the command line asks for and print the summary."""
    name, store, options = parse(sys.argv[1:])
    told = dataset_named(name).told
    made = prepare(
        name,
        store.source,
        store.out,
        options,
        jobs=store.jobs,
        resume=store.resume,
        skip_bad=store.skip_bad,
        backend=store.backend,
        address=store.address,
    )
    # what the leak checks found is the first line that a user reads
    report = quality(name, store.source, made, options, store.jobs) if store.quality else None
    if report:
        print(f"{report}\n")
    else:
        print_checks(store_checks(made))
    if told is not None:
        print(told(store.source, options))
    print(summary(made))


if __name__ == "__main__":
    console.run(main)
