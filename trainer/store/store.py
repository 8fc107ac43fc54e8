"""A trial store: a folder of cut recordings that grows, survives a kill, and is read by memory map.

shards/KEY.safetensors   one recording's windows, with an account of itself in the header
index.jsonl              one row a trial: label, onset, who and what, its shard and its row there
store.json               version, preprocessing, channels, window, labels, provenance; per recording what was rejected
"""

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.files import sha256_of, write_atomically
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.continuous import prepare_continuous
from core.preprocessing.trials import COLUMNS, Trials, build_trials
from core.preprocessing.windows import cut_windows

from .dataset import Session
from .lazy_windows import LazyWindows
from .shard import read_about, write_shard

FORMAT = "sd-eeg trial store"
FORMAT_VERSION = 1
STORE, INDEX, SHARDS = "store.json", "index.jsonl", "shards"
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

    def rejected(self) -> Counter:
        """Return how many trials were left out for each reason, numbers in the reasons taken out."""
        return Counter(
            without_numbers(trial["reason"]) for entry in self.info["sessions"].values() for trial in entry["rejected"]
        )


def open_store(path: str | Path) -> TrialStore:
    """Open a trial store; see `TrialStore`."""
    return TrialStore(path)


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
) -> TrialStore:
    """Prepare recordings into a store, adding to it where it exists.

    Finished recordings are kept and not done again; after a kill the same call goes on. jobs: processes, through
    joblib, so inside `joblib.parallel_config("dask")` or "ray" the work goes to that cluster. skip_bad: list a
    recording that cannot be read under `failed` and go on; otherwise it raises, and the store is as it was before the
    call.

    Raises ValueError where the store was made with another preprocessing, data set, options or label order, where
    `resume` is false and it exists, and where no trial is left.
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
    done = _finished(folder, wanted, sessions, resume)
    left = [session for session in sessions if session.key not in done]
    empty_before = not folder.exists()

    book = _Book(folder, wanted, labels, done)
    written: list[Path] = []
    try:
        for entry in _work(left, config, wanted, folder, jobs, skip_bad, progress):
            if "failed" in entry:
                book.failed[entry["key"]] = entry["failed"]
                continue
            written.append(folder / entry["shard"])
            book.add(entry)
        book.check(sessions)
        book.write()
    except (ValueError, OSError):
        book.take_back(written, empty_before)
        raise
    return TrialStore(folder)


class _Book:
    """What index.jsonl and store.json say; both are derived from the shards and written anew, the index first."""

    def __init__(self, folder: Path, wanted: dict, labels: Sequence[str] | None, done: dict[str, dict]) -> None:
        self.folder, self.wanted, self.labels = folder, wanted, labels
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
        why = why or "; ".join(self.failed.values()) or "there are none in the recordings"
        raise ValueError(f"no trial is left of {len(sessions)} recordings: {why}")

    def write(self) -> None:
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
            "failed": self.failed,
        }
        with write_atomically(self.folder / STORE) as beside:
            beside.write_text(json.dumps(info, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        self.last = time.monotonic()

    def take_back(self, written: Iterable[Path], empty_before: bool) -> None:
        """Leave the store as it was before a call that bad input ended."""
        for path in written:
            path.unlink(missing_ok=True)
        self.entries = dict(self.before)
        self.failed = {}
        if self.before:
            self.write()
        elif empty_before or not any((self.folder / SHARDS).glob("*.safetensors")):
            (self.folder / INDEX).unlink(missing_ok=True)
            (self.folder / STORE).unlink(missing_ok=True)
            for place in (self.folder / SHARDS, *([self.folder] if empty_before else [])):
                if place.is_dir() and not any(place.iterdir()):
                    place.rmdir()


def _finished(folder: Path, wanted: dict, sessions: Sequence[Session], resume: bool) -> dict[str, dict]:
    """Return the accounts of the shards that are there; raise where they cannot stand beside what is wanted now."""
    if (folder / STORE).is_file():
        _same(folder, wanted, TrialStore(folder).info)
    shards = sorted((folder / SHARDS).glob("*.safetensors"))
    if not resume and (shards or (folder / STORE).exists()):
        raise ValueError(f"{folder} holds a trial store already; choose another --out, or go on with it (resume)")
    identities = {session.key: plain(session.identity) for session in sessions}
    done = {}
    for path in shards:
        about = read_about(path)
        _same(folder, wanted, about)
        key = about["key"]
        if key in identities and identities[key] != about["identity"]:
            raise ValueError(
                f"{folder} holds recording {key!r} made from {about['identity']}, now it is {identities[key]}; "
                f"choose another --out, or delete {path}"
            )
        done[key] = about
    return done


def _same(folder: Path, wanted: dict, there: dict) -> None:
    for part, word in (("preprocessing", "preprocessing"), ("provenance", "data set or options")):
        if there[part] != wanted[part]:
            names = sorted(k for k in {**there[part], **wanted[part]} if there[part].get(k) != wanted[part].get(k))
            told = "; ".join(f"{k}: {there[part].get(k)!r} there, {wanted[part].get(k)!r} now" for k in names)
            raise ValueError(f"{folder} holds a trial store of other {word} ({told}); choose another --out")


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
    from tqdm import tqdm

    tasks = (delayed(_prepare_session)(session, config, wanted, folder, skip_bad) for session in left)
    done: Any = Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks)
    yield from tqdm(done, total=len(left), desc="recordings", unit="", disable=not progress or not left)


def _prepare_session(
    session: Session, config: PreprocessingConfig, wanted: dict, folder: Path, skip_bad: bool
) -> dict[str, Any]:
    """Read, prepare, cut and write one recording; return its account, or why it failed where that is to be skipped."""
    try:
        recording, rows = session.load()
        cut, refused = [row for row in rows if not row.get("refused")], [row for row in rows if row.get("refused")]
        if nameless := [row for row in cut if not row.get("label")]:
            raise ValueError(f"{session.key}: {len(nameless)} presentations have no label")
        prepared = prepare_continuous(recording, config)
        windows = cut_windows(prepared, np.array([row["onset"] for row in cut], dtype=np.float64), config)
    except (ValueError, OSError) as error:
        if skip_bad:
            return {"key": session.key, "failed": _without_path(" ".join(str(error).split()), session.sources)}
        raise
    rejected = [
        {"label": row["label"], "onset": float(row["onset"]), "reason": reason}
        for row, kept, reason in zip(cut, windows.kept, windows.reasons, strict=True)
        if not kept
    ]
    rejected += [
        {"label": row.get("label", ""), "onset": float(row.get("onset", 0)), "reason": row["refused"]}
        for row in refused
    ]
    shard = f"{SHARDS}/{session.key}.safetensors"
    about = plain(
        {
            "version": FORMAT_VERSION,
            "key": session.key,
            "shard": shard,
            "identity": session.identity,
            "sources": [{"file": path.name, "sha256": sha256_of(path)} for path in session.sources],
            "recording": recording.source,
            "rejected": rejected,
            "rows": [_index_row(row) for row, kept in zip(cut, windows.kept, strict=True) if kept],
            **wanted,
        }
    )
    write_shard(folder / shard, windows.data, about)
    return about


def _without_path(text: str, sources: Sequence[Path]) -> str:
    """Return what is said of a recording without the path that it begins with: it is listed under its key."""
    for path in sources:
        text = text.removeprefix(f"{path}: ")
    return text


def _index_row(row: dict) -> dict:
    return {"label": row["label"], "onset": float(row["onset"]), **{c: str(row[c]) for c in COLUMNS if row.get(c)}}


def plain(value: Any) -> Any:
    """Return a value as JSON holds it: lists for tuples and arrays, numbers for numpy's, text for whatever else."""
    return json.loads(json.dumps(value, default=_as_json))


def _as_json(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)


def without_numbers(reason: str) -> str:
    """Return a reason with its numbers replaced by '#', so that reasons of one kind are counted together."""
    return re.sub(r"[-+]?\d[\d.]*", "#", reason)
