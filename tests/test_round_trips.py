"""What others wrote comes back: samples within one quantisation step, events within one sample, names equal."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import edfio
import eeglabio
import mne
import numpy as np
import pybv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.formats.toolboxes.native import save_recording
from core.loading.load import load_recording
from core.recording import Event, Recording

# derandomize: the same examples on every machine; no database: nothing is written beside the tests
FEW = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
PLACES = [f"{side}{number}" for side in ("AF", "F", "FC", "C", "CP", "P", "PO", "O") for number in "z34"]
NAMES = [*PLACES, *(f"E{i}" for i in range(1, 30)), "electrode 9", "ear-lobe"]
LETTERS = string.ascii_letters + string.digits + " _-/.:"
UNICODE = LETTERS + "äßéñøšλЖ中日本한"


@dataclass(frozen=True)
class Recipe:
    """What a recording is made of; an example that fails is shown as this, and not as its samples."""

    ch_names: tuple[str, ...]
    sfreq: float
    n_times: int
    spread_uv: float
    constants_uv: tuple[float, ...]
    marks: tuple[tuple[int, str], ...]
    seed: int

    @property
    def data(self) -> np.ndarray:
        """Volts (n_channels, n_times): noise and slow waves on the amplifier's constants."""
        rng = np.random.default_rng(self.seed)
        shape = len(self.ch_names), self.n_times
        waves = rng.standard_normal(shape).cumsum(axis=1)
        waves -= waves.mean(axis=1, keepdims=True)
        noise = rng.standard_normal(shape) + 0.2 * waves / waves.std(axis=1, keepdims=True)
        return (noise * self.spread_uv + np.array(self.constants_uv)[:, None]) * 1e-6

    @property
    def onsets(self) -> np.ndarray:
        """Seconds of the events, each on a sample."""
        return np.array([sample for sample, _ in self.marks]) / self.sfreq

    @property
    def labels(self) -> list[str]:
        """Labels of the events."""
        return [label for _, label in self.marks]


def labels(alphabet: str) -> st.SearchStrategy[str]:
    """Labels as people choose them: no blanks at the ends, and none of the words for pauses that MNE writes itself."""
    text = st.text(alphabet, min_size=1, max_size=20).map(str.strip).filter(bool)
    return text.filter(lambda label: not label.lower().startswith(("boundary", "bad", "edge", "new segment", "epoch")))


@st.composite
def recipes(draw: st.DrawFn, label: st.SearchStrategy[str], most_uv: float = 5e3, whole: bool = False) -> Recipe:
    """EEG of any size that passes the gate, on any constant, with events on any samples; whole: of whole seconds."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
    sfreq = draw(st.sampled_from([100, 128, 200, 250, 256, 500, 512, 1000, 2048]))
    n_times = draw(st.integers(2, 6)) * sfreq + (0 if whole else draw(st.integers(0, 90)))
    samples = draw(st.lists(st.integers(0, n_times - 1), max_size=12, unique=True).map(sorted))
    return Recipe(
        ch_names=tuple(names),
        sfreq=float(sfreq),
        n_times=n_times,
        spread_uv=draw(st.floats(1.0, 200.0)),
        constants_uv=tuple(draw(st.floats(-most_uv, most_uv)) for _ in names),
        marks=tuple((sample, draw(label)) for sample in samples),
        seed=draw(st.integers(0, 1000)),
    )


def assert_same(what: Recipe, write: Callable[[Path], Path], step_uv: float) -> None:
    """Write, load, and compare; a constant may be missing where the loader reports that it took it off."""
    with TemporaryDirectory() as folder:
        recording = load_recording(write(Path(folder)))
    assert recording.sfreq == pytest.approx(what.sfreq, rel=1e-9)
    assert recording.ch_names == what.ch_names
    known = what.data
    assert recording.data.shape == known.shape
    off = (recording.data - known) * 1e6
    # what float32 makes of millivolts
    off_by = step_uv + np.abs(known).max() * 0.3
    for name, row in zip(what.ch_names, off, strict=True):
        constant = 0.0
        if name in (reported := recording.source["offsets_uv"]):
            constant = (row.max() + row.min()) / 2
            assert abs(constant + reported[name]) <= step_uv + 1e-4 * abs(constant)  # five digits are reported
        assert np.abs(row - constant).max() <= off_by
    assert [event.label for event in recording.events] == what.labels
    seen = np.array([event.onset for event in recording.events])
    assert np.abs(seen - what.onsets).max(initial=0) <= 1.01 / what.sfreq
    assert recording.segments == (0,)


def write_edf(path: Path, what: Recipe, span: float) -> Path:
    of_bdf = path.suffix == ".bdf"
    signal = edfio.BdfSignal if of_bdf else edfio.EdfSignal
    rows = [
        signal(row * 1e6, what.sfreq, label=name, physical_dimension="uV", physical_range=(-span, span))
        for name, row in zip(what.ch_names, what.data, strict=True)
    ]
    marks = [edfio.EdfAnnotation(onset, None, label) for onset, label in zip(what.onsets, what.labels, strict=True)]
    (edfio.Bdf if of_bdf else edfio.Edf)(rows, annotations=marks).write(path)
    return path


def edf_span(what: Recipe) -> float:
    """A range in microvolts that holds every sample and fits the header's eight characters."""
    return float(np.ceil(np.abs(what.data).max() * 1e6) + 1)


@FEW
@given(recipes(labels(UNICODE), whole=True))
def test_edf(what: Recipe) -> None:
    span = edf_span(what)
    assert_same(what, lambda folder: write_edf(folder / "r.edf", what, span), 2 * span / 65535)


@FEW
@given(recipes(labels(UNICODE), whole=True))
def test_bdf(what: Recipe) -> None:
    span = edf_span(what)
    assert_same(what, lambda folder: write_edf(folder / "r.bdf", what, span), 2 * span / (2**24 - 1))


@FEW
@given(
    # int16 at 0.1 uV holds 3.2 mV
    recipes(st.integers(1, 999).map(lambda code: f"Stimulus/S{code:>3}"), most_uv=2e3),
    st.sampled_from(["binary_float32", "binary_int16"]),
    st.sampled_from([0.1, 0.5]),
)
def test_brainvision(what: Recipe, kind: str, resolution: float) -> None:
    def write(folder: Path) -> Path:
        events = [
            {"onset": sample, "duration": 1, "description": int(label.removeprefix("Stimulus/S")), "type": "Stimulus"}
            for sample, label in what.marks
        ]
        pybv.write_brainvision(
            data=what.data,
            sfreq=what.sfreq,
            ch_names=list(what.ch_names),
            fname_base="r",
            folder_out=str(folder),
            events=events,
            resolution=resolution,
            fmt=kind,
        )
        return folder / "r.vhdr"

    assert_same(what, write, resolution if kind == "binary_int16" else 0.0)


@FEW
@given(recipes(labels(LETTERS)), st.sampled_from(["v5", "v7.3"]))
def test_eeglab(what: Recipe, version: str) -> None:
    def write(folder: Path) -> Path:
        path, marks = folder / "r.set", [np.array(what.labels), what.onsets, np.zeros(len(what.marks))]
        eeglabio.raw.export_set(
            str(path),
            what.data,
            what.sfreq,
            list(what.ch_names),
            annotations=marks if what.marks else None,
            fmt=version,
        )
        return path

    assert_same(what, write, 0.0)


@FEW
@given(recipes(labels(UNICODE)), st.sampled_from(["single", "double"]))
def test_fif(what: Recipe, kind: str) -> None:
    def write(folder: Path) -> Path:
        raw = mne.io.RawArray(what.data, mne.create_info(list(what.ch_names), what.sfreq, "eeg"), verbose="ERROR")
        raw.set_annotations(mne.Annotations(what.onsets, np.zeros(len(what.marks)), what.labels), verbose="ERROR")
        raw.save(folder / "r_raw.fif", fmt=kind, verbose="ERROR")
        return folder / "r_raw.fif"

    assert_same(what, write, 0.0)


@FEW
@given(recipes(labels(UNICODE)))
def test_own_form_comes_back_exactly(what: Recipe) -> None:
    positions = np.random.default_rng(0).standard_normal((len(what.ch_names), 3))
    events = tuple(Event(onset, 0.25, label) for onset, label in zip(what.onsets.tolist(), what.labels, strict=True))
    written = Recording(what.data, what.sfreq, what.ch_names, positions, events, (0, 7), {"reference": "Cz"})
    with TemporaryDirectory() as folder:
        save_recording(written, Path(folder) / "r.safetensors")
        read = load_recording(Path(folder) / "r.safetensors")
    np.testing.assert_array_equal(read.data, written.data, strict=True)
    np.testing.assert_array_equal(read.ch_positions, positions)
    assert (read.sfreq, read.ch_names, read.events) == (written.sfreq, written.ch_names, written.events)
    assert read.segments == (0, 7)
    assert read.source["reference"] == "Cz"
