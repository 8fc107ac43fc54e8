"""Load one file and see what must not happen; crashes and hangs are for the process above to see."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import tempfile
import tracemalloc
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.loading.isolation import isolated_child
from core.loading.judgement.gaps_and_amplitudes import LEAST_UV, MOST_UV, robust_uv
from core.loading.load import load_recording
from core.recording import Recording

from .mutate import FileSet

# what loading may ask for beside four times the bytes of the files: MNE's tables, a header's worth of anything
CONSTANT_BYTES, PER_BYTE = 64 << 20, 4
MOST_SECONDS = 10.0
# what is not recognised lists every format that was looked for
MOST_TEXT, MOST_LISTED = 900, 4000
# what the unpickler of the public .npy files lets through; everything else that a pickle names is a hole
_HARMLESS = {"_reconstruct", "ndarray", "dtype", "scalar", "_codecs.encode"}
_START = ("subprocess.Popen", "os.posix_spawn")  # from Python 3.13 on the first may do the second
_EXECUTE = (*_START, "os.system", "os.exec", "os.spawn", "os.startfile", "socket.connect", "urllib.Request")


@dataclass
class Outcome:
    """What became of one file: "recording" or "refused" are fine; anything else is a finding that `said` explains."""

    kind: str
    said: str
    seconds: float = 0.0
    bytes_: int = 0
    # the highest resident size that any child process of the worker has had so far
    child_bytes: int = 0
    done: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        """Whether it ended as every file must."""
        return self.kind in ("recording", "refused")

    def as_dict(self) -> dict[str, Any]:
        """Return it as values that go through a pipe."""
        return asdict(self)


class Watch:
    """Folders of one worker, and a hook that sees what Python opens for writing, runs or connects to."""

    def __init__(self, root: Path) -> None:
        self.files, self.temporary, self.nowhere = (root / name for name in ("files", "temporary", "nowhere"))
        for folder in (self.temporary, self.nowhere):
            folder.mkdir(parents=True)
        os.environ.update(TMPDIR=str(self.temporary), HOME=str(self.nowhere), XDG_CONFIG_HOME=str(self.nowhere))
        os.environ["MPLCONFIGDIR"] = str(root / "matplotlib")  # its list of fonts, which older MNEs make it write
        tempfile.tempdir = None  # Python remembers where temporary files were before
        os.chdir(self.nowhere)
        self.seen: list[str] | None = None
        sys.addaudithook(self._hook)
        tracemalloc.start(1)

    def load(self, what: FileSet, options: Mapping[str, Any], decoded_bytes: int) -> Outcome:
        """Write the files, load them, and judge what happened."""
        shutil.rmtree(self.files, ignore_errors=True)
        for name, content in what.files.items():
            (self.files / name).parent.mkdir(parents=True, exist_ok=True)
            (self.files / name).write_bytes(content)
        before, path = _listing(self.files), self.files / what.entry
        tracemalloc.reset_peak()
        held, start = tracemalloc.get_traced_memory()[0], _worked()
        with self._seeing() as seen, warnings.catch_warnings(record=True) as warned, _printed() as printed:
            warnings.simplefilter("always")
            kind, said = _load(path, options)
        seconds = _worked() - start
        asked = tracemalloc.get_traced_memory()[1] - held
        most = CONSTANT_BYTES + PER_BYTE * max(what.size, decoded_bytes)
        if kind == "refused" and str(self.temporary) in said:
            kind, said = "names a temporary file", said
        if (after := _listing(self.files)) != before:
            kind, said = "changed the files", f"{sorted(set(after) ^ set(before))}"
        for folder in (self.temporary, self.nowhere):
            if left := sorted(folder.rglob("*")):
                kind, said = "left files behind", f"{left[:3]}"
                shutil.rmtree(folder)
                folder.mkdir()
        if seen:
            kind, said = "did what it must not", "; ".join(seen[:3])
        if warned:
            kind, said = "warned", f"{warned[0].filename}:{warned[0].lineno}: {warned[0].message}"
        if printed.getvalue():
            kind, said = "printed", printed.getvalue()[:200]
        if seconds > MOST_SECONDS:
            kind, said = "hung", f"{seconds:.1f} s: {said}"
        if asked > most:
            kind, said = "asked for memory", f"{asked >> 20} MiB of {most >> 20}: {said}"
        return Outcome(kind, said[:500], seconds, asked, _child_bytes(), what.done)

    @contextlib.contextmanager
    def _seeing(self) -> Iterator[list[str]]:
        seen = self.seen = []
        try:
            yield seen
        finally:
            self.seen = None

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.seen is None:
            return
        if event == "open":
            path, mode, flags = args
            writes = any(letter in (mode or "") for letter in "wax+") or (
                isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            )
            if writes and isinstance(path, (str, bytes, os.PathLike)) and not self._may_write(os.fsdecode(path)):
                self.seen.append(f"opened {path!r} for writing")
        elif event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "os.truncate", "os.link"):
            # names relative to an open folder are those of a temporary folder's removal
            path = Path(os.fsdecode(args[0])) if isinstance(args[0], (str, bytes, os.PathLike)) else Path()
            if path.is_absolute() and not self._may_write(str(path)):
                self.seen.append(f"{event} {path}")
        elif event == "pickle.find_class":
            if args[1] not in _HARMLESS and f"{args[0]}.{args[1]}" not in _HARMLESS:
                self.seen.append(f"unpickled {args[0]}.{args[1]}")
        elif event in _START and str(isolated_child.__file__) in [str(part) for part in args[1]]:
            pass  # readers that can crash have a process of their own
        elif event in _EXECUTE:
            self.seen.append(f"{event} {args!r}"[:200])

    def _may_write(self, path: str) -> bool:
        return path == os.devnull or Path(path).resolve().is_relative_to(self.temporary.resolve())


def _worked() -> float:
    """Return the seconds that this process and its children have worked: other programs' load does not count."""
    return sum(os.times()[:4])


def _child_bytes() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _load(path: Path, options: Mapping[str, Any]) -> tuple[str, str]:
    try:
        recording = load_recording(path, **options)
    except (ValueError, FileNotFoundError) as error:
        text = str(error)
        kind = "refused"
        if type(error) not in (ValueError, FileNotFoundError):
            kind = f"raised {type(error).__name__}"
        elif (
            "\n" in text or len(text) > (MOST_LISTED if "not recognised" in text else MOST_TEXT) or "Traceback" in text
        ):
            kind = "unreadable error"
        elif path.name not in text:
            kind = "error without the file's name"
        return kind, text
    except MemoryError as error:
        return "MemoryError", str(error)
    except Exception as error:
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        at = f" at {where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where is not None else ""
        return f"raised {type(error).__name__}", f"{error}{at}"
    return _judge(recording)


def _judge(recording: Recording) -> tuple[str, str]:
    """Return "recording" where it is what the loader promises: finite volts of EEG's size, events and rate finite."""
    if not (np.isfinite(recording.data).all() and recording.data.size):
        return "not finite", f"{recording.data.shape}"
    spread = float(np.median(robust_uv(recording.data, recording.sfreq, recording.segments)))
    if not LEAST_UV <= spread <= MOST_UV:
        return "passed the gate wrongly", f"median {spread:.3g} uV"
    if not all(np.isfinite(event.onset) and np.isfinite(event.duration) for event in recording.events):
        return "event times not finite", f"{recording.events[:5]}"
    return "recording", ""


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    found = sorted(folder.rglob("*"))
    return [(str(one), one.stat().st_size, one.stat().st_mtime_ns) for one in found if one.is_file()]


@contextlib.contextmanager
def _printed() -> Iterator[io.StringIO]:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        yield text
