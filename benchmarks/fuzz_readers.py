"""Damaged files of every format, loaded one by one: each must end in a plausible recording or in one readable line.

The files that the tests of formats write are mutated (bits flipped, ends cut off, header fields rewritten, pieces
moved, packed as .gz or .zip) by a seeded generator, and loaded in worker processes. Each load may take 10 s of a
processor (30 s by the clock), and ask for 64 MiB beside four times the larger of the files' bytes and their samples as
float64; it may write nothing outside a temporary folder that is empty afterwards, print nothing, warn of nothing, run
nothing. Every case can be had again by its format and number. Prints one JSON object as its last line, and exits with
1 where there was a finding.

    python benchmarks/fuzz_readers.py [--files 20000] [--workers 2] [--seed 0] [--formats NAME ...] [--real FOLDER]
    python benchmarks/fuzz_readers.py --formats EDF+ --number 123 --keep FOLDER     # one case again, its files kept
"""

import argparse
import gzip
import itertools
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np

from core.files import files_of_set
from core.loading.readers import READERS
from tests.format_cases import CASES
from tests.fuzzing.mutate import FileSet, mutated
from tests.fuzzing.watch import CONSTANT_BYTES, MOST_SECONDS, PER_BYTE, Outcome, Watch

# a load that is still at it after this is stopped from outside, with the process that it is in
KILL_S, START_S = 3 * MOST_SECONDS, 300.0
ADDRESS_SPACE = 6 << 30


@dataclass(frozen=True)
class Seed:
    """An honest recording: its files, the reader that takes it, what the user says of it, the bytes of its samples."""

    files: FileSet
    reader: str
    options: dict[str, Any]
    decoded: int = 0


def written_seeds() -> dict[str, Seed]:
    """Return the honest file of each format, as its test writes it."""
    found = {}
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            entry = case.write(Path(folder), case.truth, "").relative_to(folder)
            files = {str(one.relative_to(folder)): one.read_bytes() for one in _files(Path(folder))}
        found[name] = Seed(FileSet(str(entry), files), case.reader, dict(case.options), case.truth.data.nbytes)
    return found


def real_seeds(folder: Path) -> dict[str, Seed]:
    """Return the real recordings of the formats' tests that have at most 6 MB, those packed by gzip unpacked."""
    found = {}
    for case in CASES.values():
        for name, options in case.real.items():
            path = folder / name
            files = {one.name: one.read_bytes() for one in (files_of_set(path) if path.is_file() else [])}
            if path.suffix == ".gz":
                files = {path.stem: gzip.decompress(path.read_bytes())}
            if 0 < sum(map(len, files.values())) < 6 << 20:
                entry = path.stem if path.suffix == ".gz" else path.name
                found[f"{case.name}: {path.name}"] = Seed(FileSet(entry, files), case.reader, dict(options))
    return found


def _files(folder: Path) -> list[Path]:
    return [one for one in sorted(folder.rglob("*")) if one.is_file()]


def damaged(seeds: dict[str, Seed], name: str, number: int, seed: int) -> FileSet:
    """Return case `number` of a format; number 0 is the honest file."""
    if number == 0:
        return seeds[name].files
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    others = [content for one in sorted(CASES) if one != name for content in seeds[one].files.files.values()]
    return mutated(rng, seeds[name].files, others)


def work(conn: Any, seeds: dict[str, Seed], seed: int, root: str) -> None:
    """Load the cases that come through the pipe until it ends: the whole life of a worker process."""
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    watch = Watch(Path(root))
    warmed: set[str] = set()
    conn.send("ready")
    while job := conn.recv():
        name, number = job
        about = seeds[name].options, seeds[name].decoded
        # what is imported on first use is no part of any one load; what a child imports is nothing to us
        if name not in warmed and not READERS[seeds[name].reader].isolated:
            warmed.add(name)
            watch.load(seeds[name].files, *about)
        conn.send(watch.load(damaged(seeds, name, number, seed), *about).as_dict())


class Worker:
    """One worker process at a time, replaced when it crashes or hangs."""

    def __init__(self, *about: Any, root: Path) -> None:
        self._about, self._root, self._n = about, root, 0
        self._process: Any = None

    def run(self, name: str, number: int) -> Outcome:
        """Return the outcome of one case, whatever happens to the process."""
        if self._process is None:
            self._start()
        self._conn.send((name, number))
        # the first load of a format is preceded by one that warms up
        if not self._conn.poll(KILL_S):
            self.stop()
            return Outcome("hung", f"stopped after {KILL_S:g} s", KILL_S)
        try:
            return Outcome(**self._conn.recv())
        except (EOFError, ConnectionResetError):
            self._process.join(10)
            status = self._process.exitcode
            self.stop()
            return Outcome("crashed", f"exit status {status}")

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._conn, theirs = context.Pipe()
        self._n += 1
        self._at = self._root / str(self._n)
        self._process = context.Process(target=work, args=(theirs, *self._about, str(self._at)), daemon=True)
        self._process.start()
        theirs.close()
        if not self._conn.poll(START_S) or self._conn.recv() != "ready":
            raise RuntimeError("a worker process did not start")

    def stop(self) -> None:
        """End the process and remove its folders."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._conn.close()
            self._process = None
            shutil.rmtree(self._at, ignore_errors=True)


def turns(seeds: dict[str, Seed], names: list[str]) -> Iterator[tuple[str, int]]:
    """Yield a case of each format in turn without end, first the honest files.

    Formats that are read in a child process cost twenty times the others and have every fourth turn only.
    """
    slow = {name for name in names if READERS[seeds[name].reader].isolated}
    for number in itertools.count():
        for name in names:
            if name not in slow:
                yield name, number
            elif number % 4 == 0:
                yield name, number // 4


def fuzz(
    seeds: dict[str, Seed], names: list[str], files: int, workers: int, seed: int, stop_after: float
) -> dict[str, Any]:
    """Load `files` damaged files, taking turns through the formats; return what became of them."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    findings: list[dict[str, Any]] = []
    seconds: Counter[str] = Counter()
    slowest, largest, children, started, lock = 0.0, 0, 0, time.monotonic(), threading.Lock()
    jobs = itertools.islice(turns(seeds, names), files + len(names))

    def run(worker: Worker) -> None:
        nonlocal slowest, largest, children
        while True:
            with lock:
                job = next(jobs, None)
            if job is None or (job[1] and stop_after and time.monotonic() - started > stop_after):
                break
            outcome = worker.run(*job)
            if outcome.kind == "hung":  # once more: other programs may have held the machine
                outcome = worker.run(*job)
            if job[1] == 0 and outcome.kind != "recording":
                outcome = Outcome(f"honest file {outcome.kind}", outcome.said)
            with lock:
                counts[job[0]]["honest" if job[1] == 0 and outcome.fine else outcome.kind] += 1
                seconds[job[0]] += outcome.seconds
                if not (done := sum(sum(one.values()) for one in counts.values())) % 1000:
                    print(f"{done} files, {len(findings)} findings", flush=True)
                slowest, largest = max(slowest, outcome.seconds), max(largest, outcome.bytes_)
                children = max(children, outcome.child_bytes)
                if not outcome.fine:
                    findings.append({"format": job[0], "number": job[1], **outcome.as_dict()})
                    print(f"{job[0]} {job[1]}: {outcome.kind}: {outcome.said} {outcome.done}", flush=True)
        worker.stop()

    with tempfile.TemporaryDirectory() as roots:
        crew = [Worker(seeds, seed, root=Path(roots) / str(i)) for i in range(workers)]
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(run, crew))  # raises what a thread raised
    loaded = sum(count for one in counts.values() for kind, count in one.items() if kind != "honest")
    return {
        "files": loaded,
        "findings": len(findings),
        "by_format": {name: dict(sorted(one.items())) for name, one in counts.items()},
        "first_findings": findings[:50],
        "mean_ms": {name: round(1000 * seconds[name] / max(sum(counts[name].values()), 1)) for name in names},
        "slowest_s": round(slowest, 2),
        "largest_mib": round(largest / 2**20, 1),
        "children_mib": round(children / 2**20, 1),
        "bounds": {"seconds": MOST_SECONDS, "bytes": f"{CONSTANT_BYTES >> 20} MiB + {PER_BYTE} x size"},
        "seed": seed,
        "took_s": round(time.monotonic() - started),
    }


def again(seeds: dict[str, Seed], name: str, number: int, seed: int, keep: Path | None) -> Outcome:
    """Load one case in this process; its files are kept in `keep`, if given."""
    whole, about = damaged(seeds, name, number, seed), (seeds[name].options, seeds[name].decoded)
    if keep is not None:
        for one, content in whole.files.items():
            (keep / one).parent.mkdir(parents=True, exist_ok=True)
            (keep / one).write_bytes(content)
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as root:
        try:
            watch = Watch(Path(root) / "watch")
            watch.load(seeds[name].files, *about)
            return watch.load(whole, *about)
        finally:
            os.chdir(here)


def main() -> None:
    """Fuzz and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=20000, help="damaged files in all (default 20000)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one a processor)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", nargs="+", metavar="NAME", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument(
        "--stop-after", type=float, default=0.0, metavar="S", help="seconds after which only honest files are begun"
    )
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="damage the real recordings of the tests as well")
    parser.add_argument("--number", type=int, help="load one case again, of the one format given")
    parser.add_argument("--keep", type=Path, help="with --number: where to keep the case's files")
    options = parser.parse_args()
    seeds = {**written_seeds(), **(real_seeds(options.real) if options.real else {})}
    names = options.formats or list(seeds)
    if unknown := sorted(set(names) - set(seeds)):
        parser.error(f"unknown formats {unknown}; known: {', '.join(seeds)}")
    if options.number is not None:
        print(json.dumps(again(seeds, names[0], options.number, options.seed, options.keep).as_dict()))
        return
    found = fuzz(seeds, names, options.files, options.workers, options.seed, options.stop_after)
    print(json.dumps(found))
    sys.exit(1 if found["findings"] else 0)


if __name__ == "__main__":
    main()
