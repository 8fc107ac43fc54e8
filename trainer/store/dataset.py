"""What a data set is to the trainer: where its recordings are, what was shown in them, how they are prepared."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.preprocessing.config import PreprocessingConfig
from core.recording import Recording


def _nothing() -> tuple[Recording, list[dict]]:
    raise ValueError("this data set cuts its recordings itself")


class NothingToCut(ValueError):  # noqa: N818 (what the recording is, not a fault of the program)
    """A recording can be read and has nothing that is to be cut: it is left out and named."""


@dataclass(frozen=True)
class Cut:
    """A recording's windows where the data set cuts them itself, as for recordings that memory does not hold.

    rows: one dict a window, as `Session.load` gives them. source: the recording's account of itself. pieces: the
    windows, float32 (k, n_channels, n_times) in volts, one piece after the other. stretch: a part of the recording
    with the onsets in it, which leak checks look at. covariance: after all pieces were written it is called with a
    function that reads windows back by number, and returns what the session is whitened by, arrays by name.
    """

    rows: list[dict[str, Any]]
    source: dict[str, Any]
    pieces: Iterable[np.ndarray]
    stretch: Callable[[], tuple[Recording, np.ndarray]] | None = None
    covariance: Callable[[Callable[[np.ndarray], np.ndarray]], dict[str, np.ndarray]] | None = None


@dataclass(frozen=True)
class Session:
    """One recording of a data set.

    key: names it in the store, unique there. load: returns the recording and one dict a presentation as
    `core.preprocessing.trials.build_trials` wants them (`label`, `onset` in seconds, and any of `image_id`, `caption`,
    `subject`, `session`, `run`, `block`, `split`); a row with a text under `refused` is not cut but listed with that
    reason. identity: what else the rows depend on (JSON-able): a store does not take a finished recording for one
    of another identity. sources: the files read, whose SHA-256 the store keeps. `load` runs in another process where
    jobs > 1, so it must pickle (joblib's cloudpickle takes closures and partials). cut: does it all, for a data set
    that has its own way from a file to windows; `load` is not called then.
    """

    key: str
    load: Callable[[], tuple[Recording, list[dict]]] = field(default=_nothing)
    identity: dict[str, Any] = field(default_factory=dict)
    sources: tuple[Path, ...] = ()
    cut: Callable[[PreprocessingConfig], Cut] | None = None


@dataclass(frozen=True)
class Dataset:
    """An entry of DATASETS; adding a data set is a small file and one line there.

    options: a frozen dataclass whose fields become the command's flags. sessions(source, options): the recordings,
    found but not read. preprocessing(source, options): how they are prepared by default. provenance(source, options):
    JSON-able account for `store.json`: what it is, licence, credit, what the options were. labels: their order where
    the data set fixes it, else None (sorted). needs_source: whether there is no such data set without a folder.
    left_out(source, options): what in the folder is no recording of it, with the reason; a data set that has this is a
    person's own recordings, whose quality is measured and reported. told(source, options): in words, what was found in
    the folder.
    """

    name: str
    description: str
    options: type
    sessions: Callable[[Path | None, Any], Sequence[Session]]
    preprocessing: Callable[[Path | None, Any], PreprocessingConfig]
    provenance: Callable[[Path | None, Any], dict[str, Any]]
    labels: tuple[str, ...] | None = None
    needs_source: bool = True
    left_out: Callable[[Path | None, Any], dict[str, str]] | None = None
    told: Callable[[Path | None, Any], str] | None = None


def files_in(source: Path | None, suffixes: Sequence[str], what: str, recursive: bool = False) -> list[Path]:
    """Return the files of a folder whose names end in one of `suffixes` (any case), sorted; `source` may be one file.

    Raises ValueError where no source was given, FileNotFoundError where it or such a file is not there; both say what
    is wanted.
    """
    if source is None:
        raise ValueError(f"--source is needed: {what}")
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist; --source must be {what}")
    listed = [source] if source.is_file() else sorted(source.rglob("*") if recursive else source.iterdir())
    endings = tuple(suffix.lower() for suffix in suffixes)
    found = [
        path
        for path in listed
        if path.is_file() and not path.name.startswith(".") and path.name.lower().endswith(endings)
    ]
    if not found:
        raise FileNotFoundError(f"{source} holds no file ending in {', '.join(suffixes)}; --source must be {what}")
    return found


def file_identity(*paths: Path) -> dict[str, Any]:
    """Return names and sizes of files: what tells a store cheaply that a recording was replaced."""
    return {"files": [{"file": path.name, "bytes": path.stat().st_size} for path in paths]}
