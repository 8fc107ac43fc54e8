"""A trial store: a folder of cut recordings that grows, survives a kill, and is read by memory map.

shards/KEY.safetensors   one recording's windows, with an account of itself in the header
leaks/KEY.safetensors    what leak checks need of that recording beyond its windows
covariances/KEY.safetensors   where a data set asks for it: what that session is whitened by
index.jsonl              one row a trial: label, onset, who and what, its shard and its row there
store.json               version, whether it is finished, preprocessing, channels, window, labels, provenance; per
                         recording what was rejected
"""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from core.files import held, sha256_of, write_atomically
from core.formats.contract.signals import NoEeg
from core.leaks.evidence.recording_evidence import RecordingEvidence, evidence_of, read_evidence, write_evidence
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.continuous import prepare_continuous
from core.preprocessing.trials import COLUMNS, Trials, build_trials
from core.preprocessing.windows import cut_windows
from core.recording import Recording

from .backends import parallel_on
from .covariances import COVARIANCES, Whitening, read_whitening, write_covariance
from .dataset import Cut, NothingToCut, Session
from .finished import SHARDS, finished_before
from .lazy_windows import LazyWindows
from .plain_values import plain
from .shard import CannotWrite, write_shard, write_shard_in_pieces

FORMAT = "sd-eeg trial store"
FORMAT_VERSION = 1
STORE, INDEX, LEAKS, LOCK = "store.json", "index.jsonl", "leaks", ".writing"
SECONDS_BETWEEN_INDEXES = 5.0  # shards describe themselves; the index is rewritten no more often than this
SAFE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


class TrialStore:
    """An open trial store: `config` (how its windows were made), `info` (store.json), `trials()`.

    Opening reads the index and no EEG. Raises FileNotFoundError where there is no store, ValueError for one from a
    newer version or damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        path = self.folder / STORE
        if not path.is_file():
            raise FileNotFoundError(
                f"{self.folder} is not a trial store (it has no {STORE}); make one with trainer/prepare.py"
            )
        try:
            self.info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if self.info["format"] != FORMAT:
                raise ValueError(f"its format is {self.info['format']!r}")
            version = self.info["version"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} does not describe a trial store ({error})") from error
        if version > FORMAT_VERSION:
            raise ValueError(
                f"{path} is store version {version}; this sd-eeg reads up to {FORMAT_VERSION}: update it (newer)"
            )
        self.config = PreprocessingConfig.from_dict(self.info["preprocessing"])

    def __len__(self) -> int:
        return int(self.info["n_trials"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels in their order."""
        return tuple(self.info["labels"])

    def trials(self) -> Trials:
        """Return every trial, in the order of the recordings' keys; `eeg` is a `LazyWindows` that stays on disk.

        Raises FileNotFoundError where a shard is missing, ValueError where the index disagrees with store.json.
        """
        sessions = self.info["sessions"]
        shards = [(self.folder / entry["shard"], int(entry["n_trials"])) for _, entry in sorted(sessions.items())]
        if missing := [path for path, _ in shards if not path.is_file()]:
            raise FileNotFoundError(
                f"{missing[0]} is missing from the trial store; run prepare.py again to make it anew"
            )
        starts = dict(zip(sorted(sessions), np.cumsum([0] + [n for _, n in shards]), strict=False))
        rows: list[dict | None] = [None] * len(self)
        with open(self.folder / INDEX, encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                if row["key"] in starts:  # a kill between index and store.json leaves rows of one recording too many
                    rows[int(starts[row["key"]]) + row["row"]] = row
        if None in rows:
            raise ValueError(f"{self.folder / INDEX} lacks row {rows.index(None)} of {len(rows)}; run prepare.py again")
        shape = (len(self.config.ch_names), self.config.n_times)
        eeg: Any = LazyWindows(shards, shape)  # an array as far as Trials is concerned
        return build_trials(eeg, [row for row in rows if row], self.labels)

    def recordings(self) -> np.ndarray:
        """Return the key of the recording of each trial (n,), in the order of `trials`."""
        sessions = sorted(self.info["sessions"].items())
        return np.array([key for key, entry in sessions for _ in range(entry["n_trials"])], dtype=np.str_)

    def evidence(self) -> dict[str, RecordingEvidence]:
        """Return what leak checks need of each recording, by key; stores of older versions lack it."""
        found = {key: read_evidence(self.folder / LEAKS / f"{key}.safetensors") for key in self.info["sessions"]}
        return {key: one for key, one in found.items() if one is not None}

    def whitening(self) -> Whitening | None:
        """Return what the sessions are whitened by, where the store was prepared with it."""
        return read_whitening(self.folder, list(self.info["sessions"]), self.config.ch_names)

    def rejected(self) -> Counter:
        """Return how many trials were left out for each reason, numbers in the reasons taken out."""
        return Counter(
            without_numbers(trial["reason"]) for entry in self.info["sessions"].values() for trial in entry["rejected"]
        )


def open_store(path: str | Path, *, unfinished: bool = False) -> TrialStore:
    """Open a trial store; see `TrialStore`.

    Raises ValueError for one whose making was cut off, unless `unfinished`.
    """
    store = TrialStore(path)
    if not unfinished and not store.info.get("finished", True):  # stores of earlier versions do not say
        raise ValueError(
            f"{store.folder} is not finished: {len(store.info['sessions'])} of {store.info['n_recordings']} recordings "
            "are in it. Run the prepare.py command that made it again: it goes on from there"
        )
    return store


def write_store(
    folder: str | Path,
    sessions: Sequence[Session],
    config: PreprocessingConfig,
    *,
    provenance: dict[str, Any],
    labels: Sequence[str] | None = None,
    jobs: int = 1,
    resume: bool = True,
    skip_bad: bool = False,
    progress: bool = True,
    backend: str = "processes",
    address: str = "",
) -> TrialStore:
    """Prepare recordings into a store, adding to it where it exists.

    Finished recordings are kept and not done again; after a kill the same call goes on. jobs: processes, through
    joblib; backend and address: a cluster in their place (`backends.parallel_on`). skip_bad: list a
    recording that cannot be read under `failed` and go on; otherwise it raises, and the store is as it was before the
    call. A recording without EEG, or with nothing to cut, is listed there in any case. A full disk leaves what was
    finished, and an unfinished store.

    Raises ValueError where the store was made with another preprocessing, data set, options or label order, or of
    recordings that are not these; where another process is writing it; where `resume` is false and it exists; where
    no trial is left. Raises CannotWrite where the disk is full.
    """
    folder = Path(folder)
    keys = [session.key for session in sessions]
    if unsafe := [key for key in keys if not key or set(key) - SAFE or key.startswith(".")]:
        raise ValueError(f"session keys {unsafe[:5]} must be file names of letters, digits, '.', '_' and '-'")
    if twice := [key for key, n in Counter(keys).items() if n > 1]:
        raise ValueError(f"session keys {twice[:5]} occur more than once")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; a trial store is a folder")
    wanted = {"preprocessing": plain(config.to_dict()), "provenance": plain(provenance)}
    new_folder = not folder.exists()
    try:
        with held(folder, LOCK):
            info = TrialStore(folder).info if (folder / STORE).is_file() else None
            done = finished_before(folder, info, wanted, sessions, resume)
            left = [session for session in sessions if session.key not in done]
            book = _Book(folder, wanted, labels, done, info, len(done.keys() | set(keys)))
            with parallel_on(backend, address, jobs) as at_once:
                done = _work(left, config, wanted, folder.absolute(), at_once, skip_bad, progress)
                _fill(book, done, sessions, adds=bool(left))
    except (ValueError, OSError):
        if new_folder and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise
    return TrialStore(folder)


def _fill(book: "_Book", done: Iterable[dict[str, Any]], sessions: Sequence[Session], adds: bool) -> None:
    """Write the accounts of recordings into a store as they are done; bad input takes back what it has written."""
    written: list[Path] = []
    try:
        if adds and book.before:
            book.write()  # not finished from here on
        for entry in done:
            if "failed" in entry:
                book.failed[entry["key"]] = entry["failed"]
                continue
            written.append(book.folder / entry["shard"])
            book.add(entry)
        book.check(sessions)
        book.write(finished=True)
    except CannotWrite as error:
        raise CannotWrite(
            f"{error}. {len(book.entries)} of {book.n_recordings} recordings are in {book.folder}: make room and run "
            "the same command again, which goes on from there"
        ) from error
    except (ValueError, OSError):
        book.take_back(written)
        raise


class _Book:
    """What index.jsonl and store.json say; both are derived from the shards and written anew, the index first."""

    def __init__(
        self,
        folder: Path,
        wanted: dict,
        labels: Sequence[str] | None,
        done: dict[str, dict],
        info: dict[str, Any] | None,
        n_recordings: int,
    ) -> None:
        self.folder, self.wanted, self.labels, self.n_recordings = folder, wanted, labels, n_recordings
        self.was_finished = info is not None and info.get("finished", True)
        self.n_before = len(done) if info is None else info.get("n_recordings", len(done))
        self.failed_before = {} if info is None else dict(info["failed"])
        self.entries = dict(done)
        self.before = dict(done)
        self.failed: dict[str, str] = {}
        self.last = time.monotonic()

    def add(self, entry: dict) -> None:
        self.entries[entry["key"]] = entry
        if len(self.entries) == 1 or time.monotonic() - self.last > SECONDS_BETWEEN_INDEXES:
            self.write()

    def check(self, sessions: Sequence[Session]) -> None:
        if any(entry["rows"] for entry in self.entries.values()):
            return
        reasons = Counter(without_numbers(t["reason"]) for entry in self.entries.values() for t in entry["rejected"])
        why = "; ".join(f"{n} x {reason}" for reason, n in reasons.most_common(4))
        why = why or "; ".join(dict.fromkeys(self.failed.values()))[:600] or "there are none in the recordings"
        raise ValueError(f"no trial is left of {len(sessions)} recordings: {why}")

    def write(self, finished: bool = False) -> None:
        """Write the index and store.json; raises CannotWrite where the disk is full."""
        try:
            self._write(finished)
        except OSError as error:
            raise CannotWrite(f"{self.folder} cannot be written to: {error.strerror or error}") from error

    def _write(self, finished: bool) -> None:
        found = Counter(row["label"] for entry in self.entries.values() for row in entry["rows"])
        order = list(self.labels) if self.labels is not None else sorted(found)
        if unknown := sorted(set(found) - set(order)):
            raise ValueError(f"labels {unknown} are not among {order}")
        with write_atomically(self.folder / INDEX) as beside, open(beside, "w", encoding="utf-8") as file:
            for key, entry in sorted(self.entries.items()):
                for number, row in enumerate(entry["rows"]):
                    file.write(json.dumps({"key": key, "shard": entry["shard"], "row": number, **row}) + "\n")
        config = self.wanted["preprocessing"]
        hidden = ("key", "rows", "preprocessing", "provenance", "version")
        info = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "finished": finished,
            "n_recordings": self.n_recordings,
            "n_trials": sum(found.values()),
            "labels": order,
            "label_counts": {label: found.get(label, 0) for label in order},
            "sfreq": config["sfreq"],
            "ch_names": config["ch_names"],
            "window_s": [config["tmin"], config["tmax"]],
            **self.wanted,
            "sessions": {
                key: {name: value for name, value in entry.items() if name not in hidden}
                | {"n_trials": len(entry["rows"])}
                for key, entry in sorted(self.entries.items())
            },
            "failed": dict(sorted(self.failed.items())),
        }
        with write_atomically(self.folder / STORE) as beside:
            beside.write_text(json.dumps(info, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        self.last = time.monotonic()

    def take_back(self, written: Iterable[Path]) -> None:
        """Leave the store as it was before a call that bad input ended."""
        for path in written:
            path.unlink(missing_ok=True)
            for place in (LEAKS, COVARIANCES):
                (self.folder / place / path.name).unlink(missing_ok=True)
        self.entries = dict(self.before)
        self.failed = self.failed_before
        if self.before:
            self.n_recordings = self.n_before
            self.write(self.was_finished)
        elif not any((self.folder / SHARDS).glob("*.safetensors")):
            (self.folder / INDEX).unlink(missing_ok=True)
            (self.folder / STORE).unlink(missing_ok=True)
            for place in (self.folder / SHARDS, self.folder / LEAKS, self.folder / COVARIANCES):
                if place.is_dir() and not any(place.iterdir()):
                    place.rmdir()


def _work(
    left: Sequence[Session],
    config: PreprocessingConfig,
    wanted: dict,
    folder: Path,
    jobs: int,
    skip_bad: bool,
    progress: bool,
) -> Iterator[dict[str, Any]]:
    """Yield the account of each session as it is done."""
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend
    from tqdm import tqdm

    tasks = (delayed(_prepare_session)(session, config, wanted, folder, skip_bad, len(left) == 1) for session in left)
    as_done = getattr(get_active_backend()[0], "supports_return_generator", False)
    done: Any = Parallel(n_jobs=jobs, return_as="generator_unordered" if as_done else "list")(tasks)
    yield from tqdm(done, total=len(left), desc="recordings", unit="", disable=not progress or not left)


def _prepare_session(
    session: Session, config: PreprocessingConfig, wanted: dict, folder: Path, skip_bad: bool, alone: bool
) -> dict[str, Any]:
    """Read, prepare, cut and write one recording; return its account, or why it failed where that is to be skipped."""
    try:
        if session.cut is not None:
            return _write_cut(session, session.cut(config), config, wanted, folder)
        recording, rows = session.load()
        cut, refused = [row for row in rows if not row.get("refused")], [row for row in rows if row.get("refused")]
        if nameless := [row for row in cut if not row.get("label")]:
            raise ValueError(f"{session.key}: {len(nameless)} presentations have no label")
        try:
            prepared = prepare_continuous(recording, config)
            windows = cut_windows(prepared, np.array([row["onset"] for row in cut], dtype=np.float64), config)
        except ValueError as error:  # another headset's channels, or shorter than a window
            raise NothingToCut(f"{session.key}: {error}") from error
    except (ValueError, OSError) as error:
        if skip_bad or isinstance(error, NoEeg | NothingToCut):
            return {"key": session.key, "failed": _without_path(" ".join(str(error).split()), session)}
        if alone or not isinstance(error, ValueError):
            raise
        raise ValueError(f"{error} (--skip-bad goes on without what cannot be read, and lists it)") from error
    rejected = [
        {"label": row["label"], "onset": float(row["onset"]), "reason": reason}
        for row, kept, reason in zip(cut, windows.kept, windows.reasons, strict=True)
        if not kept
    ]
    rejected += [
        {"label": row.get("label", ""), "onset": float(row.get("onset", 0)), "reason": row["refused"]}
        for row in refused
    ]
    used = [row for row, kept in zip(cut, windows.kept, strict=True) if kept]
    about = _account(session, recording.source, rejected, used, wanted)
    # before the shard: a recording that is done has its evidence
    _write_evidence(folder / LEAKS / f"{session.key}.safetensors", recording, windows.onsets[windows.kept], config)
    write_shard(folder / about["shard"], windows.data, about)
    return about


def _account(session: Session, source: Any, rejected: list[dict], rows: list[dict], wanted: dict) -> dict[str, Any]:
    """Return what a shard says of itself, as JSON holds it."""
    return plain(
        {
            "version": FORMAT_VERSION,
            "key": session.key,
            "shard": f"{SHARDS}/{session.key}.safetensors",
            "identity": session.identity,
            "sources": [{"file": path.name, "sha256": sha256_of(path)} for path in session.sources],
            "recording": source,
            "rejected": rejected,
            "rows": [_index_row(row) for row in rows],
            **wanted,
        }
    )


def _write_cut(session: Session, cut: Cut, config: PreprocessingConfig, wanted: dict, folder: Path) -> dict[str, Any]:
    """Write a recording that the data set cuts itself, piece by piece; return its account."""
    kept = [row for row in cut.rows if not row.get("refused")]
    refused = [
        {"label": row.get("label", ""), "onset": float(row.get("onset", 0)), "reason": row["refused"]}
        for row in cut.rows
        if row.get("refused")
    ]
    about = _account(session, cut.source, refused, kept, wanted)
    if cut.stretch is not None:
        _write_evidence(folder / LEAKS / f"{session.key}.safetensors", *cut.stretch(), config)

    def finish(read: Callable[[np.ndarray], np.ndarray]) -> None:
        if cut.covariance is not None:
            write_covariance(folder / COVARIANCES / f"{session.key}.safetensors", cut.covariance(read))

    shape = (len(kept), len(config.ch_names), config.n_times)
    try:
        write_shard_in_pieces(folder / about["shard"], shape, cut.pieces, about, finish)
    except ValueError:  # bad input leaves nothing behind
        for place in (LEAKS, COVARIANCES):
            (folder / place / f"{session.key}.safetensors").unlink(missing_ok=True)
        raise
    return about


def _write_evidence(path: Path, recording: Recording, onsets: np.ndarray, config: PreprocessingConfig) -> None:
    """Write what leak checks need of a recording; one that cannot tell (too slow, too short) has none.

    Raises CannotWrite where the disk is full.
    """
    try:
        evidence = evidence_of(recording, onsets, config)
    except ValueError:
        path.unlink(missing_ok=True)
        return
    try:
        write_evidence(path, evidence)
    except (OSError, SafetensorError) as error:
        raise CannotWrite(f"{path} cannot be written: {' '.join(str(error).split())}") from error


def _without_path(text: str, session: Session) -> str:
    """Return what is said of a recording without the path that it begins with: it is listed under its key."""
    for name in (*session.sources, session.key):
        text = text.removeprefix(f"{name}: ")
    return text


def _index_row(row: dict) -> dict:
    return {"label": row["label"], "onset": float(row["onset"]), **{c: str(row[c]) for c in COLUMNS if row.get(c)}}


def without_numbers(reason: str) -> str:
    """Return a reason with its numbers replaced by '#', so that reasons of one kind are counted together."""
    return re.sub(r"[-+]?\d[\d.]*", "#", reason)
