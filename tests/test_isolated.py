"""A parser that crashes, hangs, prints or wants all memory costs one readable line; what it reads comes back whole."""

import importlib
import importlib.util
import os
import signal
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from core.formats.contract.signals import Reader, ReadOptions, Signals
from core.formats.toolboxes.native import save_recording
from core.loading.isolation import isolated
from core.loading.isolation.isolated import PROGRAM, read_isolated
from core.loading.load import load_recording
from core.loading.readers import READERS
from core.recording import Event, Recording

LINUX = sys.platform == "linux"

# The child's own program with readers of ours: what they do is what bad parsers do.
BAD_PARSERS = """
import ctypes, importlib.util, os, sys, time
from types import SimpleNamespace
spec = importlib.util.spec_from_file_location("isolated_child", {program!r})
child = importlib.util.module_from_spec(spec)
spec.loader.exec_module(child)

def crash(path, options):
    ctypes.string_at(0)

def leave(path, options):
    os._exit(3)

def hang(path, options):
    while True:
        pass

def wait(path, options):
    time.sleep(1.5)
    raise RuntimeError("not mine after 1.5 s by the clock")

def sleep(path, options):
    time.sleep(600)

def devour(path, options):
    import numpy
    return numpy.empty(3 << 27)  # 3 GiB, which a machine may well have

def chatter(path, options):
    print("hello from a parser")
    os.write(1, b"and from its C code")
    raise RuntimeError("not\\nmine")

def want(path, options):
    import a_package_that_nobody_has

def look(path, options):
    names = [name for name in sys.modules if name.endswith(".formats")]
    raise ValueError(f"{{path}}: seen with {{options.stream!r}}, {{names}}")

child.main({{name: SimpleNamespace(read=read) for name, read in list(globals().items()) if callable(read)}})
"""


@pytest.fixture
def parse(tmp_path, monkeypatch):
    """Run one of the bad parsers on a small file."""
    program = tmp_path / "bad_parsers.py"
    program.write_text(BAD_PARSERS.format(program=str(PROGRAM)))
    file = tmp_path / "r.cnt"
    file.write_bytes(bytes(1000))
    monkeypatch.setattr(isolated, "PROGRAM", program)
    monkeypatch.setattr(isolated, "READ_S", 1.0)

    def run(name: str) -> str:
        reader = Reader(name, (".cnt",), READERS["edf"].read, "a family of files", isolated=True)
        with pytest.raises(ValueError, match=r"r\.cnt") as caught:
            read_isolated(reader, file, ReadOptions(stream="x"))
        message = str(caught.value)
        assert "\n" not in message
        assert len(message) < 400
        return message

    return run


def test_a_crash_is_one_line(parse) -> None:
    assert "its parser crashed" in (said := parse("crash"))
    if os.name == "posix":
        assert f"signal {int(signal.SIGSEGV)}" in said
    assert "its parser crashed (exit status 3)" in parse("leave")


@pytest.mark.parametrize("how", ["hang", "sleep"])
def test_a_hang_is_stopped(parse, how: str) -> None:
    assert "was stopped" in parse(how)


@pytest.mark.skipif(os.name != "posix", reason="a processor's time is bounded where there is a resource module")
def test_a_busy_machine_does_not_cost_a_parser_its_time(parse, monkeypatch) -> None:
    monkeypatch.setattr(isolated, "READ_S", 0.5)
    assert "not mine after 1.5 s by the clock" in parse("wait")


@pytest.mark.skipif(not LINUX, reason="memory is bounded on Linux only")
def test_a_parser_that_asks_for_3_gib_for_a_small_file_is_refused_them(parse) -> None:
    assert "its parser asked for more than 1024 MiB" in parse("devour")


def test_what_a_parser_prints_does_not_spoil_its_answer(parse) -> None:
    assert "cannot be read as a family of files: not mine" in parse("chatter")


def test_the_child_gets_the_options_and_names_the_package_itself(parse) -> None:
    assert parse("look").endswith("seen with 'x', ['sd_eeg_isolated.core.formats']")


def test_a_package_that_is_not_installed_is_named_as_without_a_child(parse, tmp_path) -> None:
    reader = Reader("want", (".cnt",), READERS["edf"].read, "a family of files", isolated=True)
    with pytest.raises(ModuleNotFoundError) as caught:
        read_isolated(reader, tmp_path / "r.cnt", ReadOptions())
    assert caught.value.name == "a_package_that_nobody_has"


def test_a_frozen_program_is_not_started_once_more(parse, monkeypatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "a process of their own" in parse("look")


def test_a_child_that_cannot_start_is_one_line(parse, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(isolated, "PROGRAM", tmp_path / "no_such_program.py")
    assert "did not start (exit status 2)" in parse("look")


@pytest.fixture
def file(tmp_path) -> Path:
    data = np.random.default_rng(0).standard_normal((2, 2000)).astype(np.float32) * 2e-5
    events = (Event(1.0, 0.5, "a"), Event(2.5, 0.0, "b ü"))
    save_recording(
        Recording(data, 250.0, ("O1", "O2"), np.full((2, 3), np.nan), events, (0, 900)), tmp_path / "r.safetensors"
    )
    return tmp_path / "r.safetensors"


def test_signals_come_back_as_they_were(file) -> None:
    here = READERS["native"].read(file, ReadOptions())
    there = read_isolated(READERS["native"], file, ReadOptions(channels={"O1": "Oz"}))
    for field in fields(Signals):
        seen, known = getattr(there, field.name), getattr(here, field.name)
        if isinstance(known, np.ndarray):
            np.testing.assert_array_equal(seen, known, strict=True)
        else:
            assert seen == known
            assert type(seen) is type(known)


def test_errors_come_back_as_they_were(file) -> None:
    with pytest.raises(ValueError, match="not an EDF or BDF file"):
        read_isolated(READERS["edf"], file, ReadOptions())


def test_an_isolated_reader_works_where_a_host_renames_the_package(file, monkeypatch) -> None:
    """ComfyUI names the package after its folder's path, and another extension may hold the name `core`."""
    for name in [name for name in sys.modules if name.split(".")[0] == "core"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "core", ModuleType("core"))
    root = Path(__file__).resolve().parent.parent
    package = ModuleType("/custom_nodes/sd-eeg")
    package.__path__ = [str(root)]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry and Path(entry).resolve() != root])
    formats = importlib.import_module(f"{package.__name__}.core.loading.readers")
    loading = importlib.import_module(f"{package.__name__}.core.loading.load")
    monkeypatch.setitem(formats.READERS, "native", replace(formats.READERS["native"], isolated=True))
    loaded = loading.load_recording(file)
    for name in [name for name in sys.modules if name.startswith(f"{package.__name__}.")]:
        del sys.modules[name]
    assert loaded.ch_names == ("O1", "O2")
    assert loaded.events[1].label == "b ü"


def test_the_ways_into_a_recording_use_it(file, monkeypatch) -> None:
    plain = load_recording(file)
    monkeypatch.setitem(READERS, "native", replace(READERS["native"], isolated=True))
    isolated_ = load_recording(file)
    np.testing.assert_array_equal(isolated_.data, plain.data)
    assert isolated_.source == plain.source
