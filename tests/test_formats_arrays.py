"""Arrays and tables without a format of their own: what is asked for, what is inferred and said, what is never run."""

from __future__ import annotations

import collections
import pickle
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from core.formats.containers.restricted_unpickler import load_plain_pickle
from core.loading.load import load_recording
from core.recording import Recording, describe

NAMES = ["Fz", "Cz", "Pz", "Oz"]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape) * 20


def saved(path: Path, value) -> Path:
    np.save(path, value, allow_pickle=False)
    return path


def uv(recording: Recording) -> np.ndarray:
    return recording.data * 1e6


def test_everything_that_is_missing_is_asked_for_at_once(tmp_path: Path) -> None:
    path = saved(tmp_path / "r.npy", noise(60, 80))
    with pytest.raises(ValueError, match=r"axes= \(--axes; data is 60 x 80.*and sfreq= \(--sfreq") as caught:
        load_recording(path, units="uV")
    assert "\n" not in str(caught.value)


def test_shorter_axis_is_taken_for_channels_and_said(tmp_path: Path) -> None:
    data = noise(4, 2000)
    for i, array in enumerate((data, data.T, np.asfortranarray(data), data.astype(">f4"), data[None])):
        recording = load_recording(saved(tmp_path / f"{i}.npy", array), units="uV", sfreq=250)
        assert np.allclose(uv(recording), data, atol=1e-4)
        assert "inferred: the shorter axis; axes= (--axes) says otherwise" in describe(recording)
        assert "the file names no channels" in describe(recording)


@pytest.mark.parametrize("axes", ["times,channels", "times channels", "time x ch", "tc", "(samples, electrodes)"])
def test_axes_have_many_spellings(tmp_path: Path, axes: str) -> None:
    data = noise(300, 200)
    recording = load_recording(saved(tmp_path / "r.npy", data), units="uV", sfreq=250, axes=axes)
    assert np.allclose(uv(recording), data.T, atol=1e-4)


@pytest.mark.parametrize("axes", ["channels", "channels,channels", "times,foo", "", "channels,times,trials"])
def test_axes_that_do_not_fit_are_refused(tmp_path: Path, axes: str) -> None:
    with pytest.raises(ValueError, match="--axes"):
        load_recording(saved(tmp_path / "r.npy", noise(4, 2000)), units="uV", sfreq=250, axes=axes)


def test_trials_stand_end_to_end_as_segments(tmp_path: Path) -> None:
    data = noise(6, 4, 200)
    path = saved(tmp_path / "r.npy", data)
    with pytest.raises(ValueError, match="trials,channels,times"):
        load_recording(path, units="uV", sfreq=100)
    recording = load_recording(path, units="uV", sfreq=100, axes="trials,channels,times")
    assert recording.segments == tuple(range(0, 1200, 200))
    assert [(event.onset, event.label) for event in recording.events] == [(2.0 * i, "trial") for i in range(6)]
    assert np.allclose(uv(recording)[:, 200:400], data[1], atol=1e-4)


def test_images_and_repetitions_are_trials_too(tmp_path: Path) -> None:
    data = noise(3, 2, 4, 200)
    recording = load_recording(
        saved(tmp_path / "r.npy", data), units="uV", sfreq=100, axes="images,repetitions,channels,times"
    )
    assert len(recording.segments) == 6
    assert np.allclose(uv(recording)[:, 200:400], data[0, 1], atol=1e-4)


def test_a_vector_is_one_channel(tmp_path: Path) -> None:
    recording = load_recording(saved(tmp_path / "r.npy", noise(2000)), units="uV", sfreq=250, channels=["Oz"])
    assert recording.ch_names == ("Oz",)


def test_axes_follow_from_names_and_times(tmp_path: Path) -> None:
    data = noise(5, 120, 100)
    names = [f"E{i}" for i in range(120)]
    times = np.linspace(-0.2, 0.79, 100)
    np.savez(tmp_path / "r.npz", X=data, ch_names=names, times=times, y=np.arange(5))
    recording = load_recording(tmp_path / "r.npz", units="uV")
    assert recording.data.shape == (120, 500)
    assert recording.sfreq == 100
    assert [event.label for event in recording.events] == ["0", "1", "2", "3", "4"]
    assert recording.events[1].onset == pytest.approx(1.2)


def test_times_in_milliseconds_are_noticed(tmp_path: Path) -> None:
    np.savez(tmp_path / "r.npz", data=noise(4, 2000), times=np.arange(2000) * 4.0, channels=NAMES, unit="uV")
    recording = load_recording(tmp_path / "r.npz")
    assert recording.sfreq == 250
    assert "(in ms)" in describe(recording)


def test_an_axis_of_times_that_denies_the_rate_is_a_lie_and_one_that_counts_samples_is_none(tmp_path: Path) -> None:
    told = {"data": noise(4, 2000), "channels": NAMES, "unit": "uV", "fs": 256.0}
    np.savez(tmp_path / "r.npz", times=np.arange(2000) / 250, **told)
    with pytest.raises(ValueError, match=r"declares 256 Hz, but its axis of times tells 250 Hz.*--sfreq"):
        load_recording(tmp_path / "r.npz")
    for times in (np.arange(2000) / 256, np.arange(2000) * 1000 / 256, np.arange(2000)):
        np.savez(tmp_path / "r.npz", times=times, **told)
        assert load_recording(tmp_path / "r.npz").sfreq == 256


def test_several_arrays_are_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "r.npz", left=noise(4, 2000), right=noise(4, 2000, seed=1), fs=250, unit="uV")
    with pytest.raises(
        ValueError, match=r"2 arrays could be EEG; say which: variable= \(--variable\).*left \(4 x 2000\)"
    ):
        load_recording(tmp_path / "r.npz")
    assert np.allclose(uv(load_recording(tmp_path / "r.npz", variable="right")), noise(4, 2000, seed=1), atol=1e-4)
    with pytest.raises(ValueError, match="no one array 'middle'"):
        load_recording(tmp_path / "r.npz", variable="middle")


def test_bare_numbers_of_no_eeg_are_refused_by_the_gate(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--units"):
        load_recording(saved(tmp_path / "r.npy", noise(4, 2000) / 20), sfreq=250)


def test_nested_structures_have_dotted_names(tmp_path: Path) -> None:
    eeg = {"data": noise(4, 2000), "srate": 250.0, "chanlocs": [{"labels": name, "theta": 1.0} for name in NAMES]}
    other = {"data": noise(4, 3000), "srate": 500.0}
    scipy.io.savemat(tmp_path / "r.mat", {"EEG": eeg, "ECOG": other})
    recording = load_recording(tmp_path / "r.mat", variable="EEG.data", units="uV")
    assert (recording.ch_names, recording.sfreq) == (tuple(NAMES), 250)
    assert load_recording(tmp_path / "r.mat", variable="ECOG.data", units="uV").sfreq == 500


def test_trials_of_fieldtrip_are_stacked(tmp_path: Path) -> None:
    trial = np.empty(3, dtype=object)
    trial[:] = [noise(4, 200, seed=i) for i in range(3)]
    told = {"trial": trial, "fsample": 100.0, "label": np.array(NAMES, dtype=object)}
    scipy.io.savemat(tmp_path / "r.mat", {"data": told})
    recording = load_recording(tmp_path / "r.mat", units="uV", axes="trials,channels,times")
    assert recording.segments == (0, 200, 400)
    assert np.allclose(uv(recording)[:, 200:400], noise(4, 200, seed=1), atol=1e-4)


def test_runs_of_a_session_are_chosen_by_number(tmp_path: Path) -> None:
    """As the BCI Competition's .mat files have them: a cell of structures of different lengths."""
    runs = np.empty(2, dtype=object)
    runs[:] = [{"X": noise(1000 + 500 * i, 4, seed=i), "fs": 250.0, "y": np.arange(3)} for i in range(2)]
    scipy.io.savemat(tmp_path / "r.mat", {"data": runs})
    with pytest.raises(ValueError, match=r"2 arrays could be EEG.*data.0.X \(1000 x 4\), .*data.1.X"):
        load_recording(tmp_path / "r.mat", units="uV")
    recording = load_recording(tmp_path / "r.mat", units="uV", variable="data.1.X")
    assert (recording.sfreq, recording.n_times) == (250, 1500)


def test_old_matlab_files_and_stimulus_vectors(tmp_path: Path) -> None:
    stim = np.zeros(2000)
    stim[[500, 1500]] = [3, 4]
    scipy.io.savemat(tmp_path / "r.mat", {"signal": noise(2000, 4), "StimulusCode": stim, "fs": 250.0}, format="4")
    recording = load_recording(tmp_path / "r.mat", units="uV")
    assert [(event.onset, event.label) for event in recording.events] == [(2.0, "3"), (6.0, "4")]


def test_cut_off_matlab_files_say_where(tmp_path: Path) -> None:
    path = tmp_path / "r.mat"
    scipy.io.savemat(path, {"fs": 250.0, "signal": noise(2000, 4)})
    path.write_bytes(path.read_bytes()[:40_000])
    with pytest.raises(ValueError, match=r"cut off: \d+ of \d+ bytes of its variable number 2 are missing"):
        load_recording(path, units="uV")


def test_hdf5_arrays_are_not_turned_round(tmp_path: Path) -> None:
    data = noise(4, 2000)
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file["session/eeg"] = data
        file["session/fs"] = 250.0
        file["session/ch_names"] = np.array(NAMES, dtype="S")
    recording = load_recording(tmp_path / "r.h5", units="uV")
    assert recording.ch_names == tuple(NAMES)
    assert np.allclose(uv(recording), data, atol=1e-4)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_plain_pickles_of_every_protocol_are_read(tmp_path: Path, protocol: int) -> None:
    about = {
        "eeg": noise(4, 2000).astype(np.float32),
        "turned": np.asfortranarray(noise(3, 5)),
        "ch_names": NAMES,
        "sfreq": np.float64(250),
        "labels": np.array(["a", "b"]),
        "files": np.array(["x", "yy"], dtype=object),
        "big": np.arange(3, dtype=">i4"),
    }
    content = pickle.dumps(about, protocol=protocol)
    found = load_plain_pickle(content)
    for key, value in about.items():
        assert np.array_equal(np.asarray(found[key]), np.asarray(value)), key
    if protocol >= 2:  # before, a pickle has no mark
        (tmp_path / "r.npy").write_bytes(content)
        recording = load_recording(tmp_path / "r.npy", units="uV")
        assert (recording.ch_names, recording.sfreq) == (tuple(NAMES), 250)


class Evil:
    def __init__(self, call) -> None:
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        (eval, ("1/0",)),
        (open, ("/tmp/never", "w")),
        (getattr, ({}, "x")),
        (np.lib.format.open_memmap, ("/tmp/never",)),
        (collections.OrderedDict, ()),
        (np.dtype, ("f8", False, True)),
    ],
)
def test_pickles_that_name_more_are_refused_and_nothing_is_run(tmp_path: Path, call) -> None:
    content = pickle.dumps({"eeg": noise(4, 100), "x": Evil(call)}, protocol=4)
    if call[0] is np.dtype:  # known, and no value: passed over
        assert load_plain_pickle(content)["x"] is None
        return
    (tmp_path / "r.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"it names \S+, and only plain values and NumPy arrays are read"):
        load_recording(tmp_path / "r.npy", sfreq=250)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"abc", "pickle"),  # bytes of 4 exabytes
        (b"\x80\x02r" + (2**31 - 1).to_bytes(4, "little"), "pickle"),  # a memory of two thousand million entries
        (b"\x80\x02\x82\x01.", "extensions"),
        (b"\x80\x02U\x01aQ.", "outside itself"),
        (b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".", "nested more than 8 deep"),
    ],
)
def test_hostile_pickles_are_one_readable_line(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_plain_pickle(content)


def test_list_that_holds_itself_ends() -> None:
    loop: list = []
    loop += [loop] * 200
    with pytest.raises(ValueError, match="nested more than 8 deep"):
        load_plain_pickle(pickle.dumps(loop))


def test_few_bytes_that_unfold_to_millions_of_values_end() -> None:
    value: list = [1.0]
    for _ in range(7):
        value = [value] * 50
    with pytest.raises(ValueError, match="more than 500000 of them"):
        load_plain_pickle(pickle.dumps(value))


def test_text_that_is_encoded_again_and_again_asks_for_no_memory() -> None:
    text = "a" * 100_000
    # X: a text, q0: remember it, then (codecs.encode, (text, "latin1")) a thousand times
    encode = b"c_codecs\nencode\nq\x01"
    content = b"\x80\x02]X" + len(text).to_bytes(4, "little") + text.encode() + b"q\x000" + encode + b"0"
    content += b"h\x01h\x00\x85Ra" * 1000 + b"."
    with pytest.raises(ValueError, match="too many of them"):
        load_plain_pickle(content)


def test_bytearray_that_claims_more_than_there_is_asks_for_no_memory() -> None:
    assert load_plain_pickle(pickle.dumps([bytearray(b"abc"), 1.0], protocol=5)) == [None, 1.0]
    for claims in (1 << 20, 1 << 40, (1 << 64) - 1):
        content = b"\x80\x05\x96" + claims.to_bytes(8, "little") + b"abc."
        with pytest.raises(ValueError, match="cut off"):
            load_plain_pickle(content)


def test_array_that_claims_more_than_its_bytes_is_cut_off(tmp_path: Path) -> None:
    path = saved(tmp_path / "r.npy", noise(4, 2000))
    path.write_bytes(path.read_bytes().replace(b"(4, 2000)", b"(4, 2001)"))
    with pytest.raises(ValueError, match="cut off: its header tells of 64032 bytes"):
        load_recording(path, sfreq=250)


@pytest.mark.parametrize("shape", ["(9999999999999999999, 9)", "(-4, 2000)", "()", "(0, 4)"])
def test_absurd_shapes_are_refused(tmp_path: Path, shape: str) -> None:
    path = saved(tmp_path / "r.npy", noise(4, 2000))
    content = path.read_bytes()
    header = content[:128].replace(b"(4, 2000)", shape.encode())
    body = header.rstrip(b"\n ")[:10] + header[10:].rstrip(b"\n ").ljust(117) + b"\n" + content[128:]
    path.write_bytes(body)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        load_recording(path, sfreq=250, axes="channels,times")


def write_table(path: Path, header: str, rows, delimiter: str = ",") -> Path:
    lines = [header] if header else []
    lines += [delimiter.join(str(cell) for cell in row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def table_rows(data: np.ndarray, *more) -> list[tuple]:
    return [(*(column[i] for column in more), *(f"{x:.6f}" for x in values)) for i, values in enumerate(data)]


def test_table_with_names_and_no_times_asks_for_the_rate(tmp_path: Path) -> None:
    data = noise(1000, 4)
    path = write_table(tmp_path / "r.csv", "Fz,Cz,Pz,Oz", table_rows(data))
    with pytest.raises(ValueError, match=r"say sfreq= \(--sfreq"):
        load_recording(path, units="uV")
    recording = load_recording(path, units="uV", sfreq=250)
    assert recording.ch_names == tuple(NAMES)
    assert np.allclose(uv(recording), data.T, atol=1e-4)


def test_table_without_names_numbers_its_channels(tmp_path: Path) -> None:
    path = write_table(tmp_path / "r.txt", "", table_rows(noise(1000, 4)), "\t")
    recording = load_recording(path, units="uV", sfreq=250, format="csv")
    assert recording.n_times == 1000
    assert "the table names no channels" in describe(recording)
    assert load_recording(path, units="uV", sfreq=250, format="csv", channels=NAMES).ch_names == tuple(NAMES)


@pytest.mark.parametrize(
    ("name", "scale"),
    [("time", 1), ("time (ms)", 1e3), ("time_ms", 1e3), ("timestamps", 1e3), ("t", 1e6), ("Timestamp", 1e9)],
)
def test_times_of_a_table_in_any_unit(tmp_path: Path, name: str, scale: float) -> None:
    times = [f"{i / 250 * scale:.6f}" for i in range(2000)]
    path = write_table(tmp_path / "r.csv", f"{name},Fz [uV],Oz (µV)", table_rows(noise(2000, 2), times))
    recording = load_recording(path)
    assert (recording.sfreq, recording.ch_names) == (250, ("Fz", "Oz"))
    assert recording.source["units"] == "declared uV"


def test_dates_are_times_too(tmp_path: Path) -> None:
    start = np.datetime64("2024-05-01T12:00:00")
    times = [str(start + np.timedelta64(i * 4, "ms")) for i in range(2000)]
    path = write_table(tmp_path / "r.csv", "time,Fz,Oz", table_rows(noise(2000, 2), times))
    assert load_recording(path, units="uV").sfreq == 250


def test_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    data = noise(1000, 2)
    rows = [";".join(f"{x:.4f}".replace(".", ",") for x in (i / 250, *values)) for i, values in enumerate(data)]
    (tmp_path / "r.csv").write_text("time;Fz;Oz\n" + "\n".join(rows) + "\n")
    assert np.allclose(uv(load_recording(tmp_path / "r.csv", units="uV")), data.T, atol=1e-3)


def test_index_of_pandas_is_no_channel(tmp_path: Path) -> None:
    path = write_table(tmp_path / "r.csv", ",Fz,Oz", table_rows(noise(1000, 2), range(1000)))
    recording = load_recording(path, units="uV", sfreq=250)
    assert recording.ch_names == ("Fz", "Oz")


def test_words_that_come_late_in_a_column_of_codes_are_events(tmp_path: Path) -> None:
    marks: list[object] = [0] * 1000
    marks[700], marks[800] = "face", 5
    path = write_table(tmp_path / "r.csv", "event,Fz,Oz", table_rows(noise(1000, 2), marks))
    recording = load_recording(path, units="uV", sfreq=250)
    assert [(event.onset, event.label) for event in recording.events] == [(2.8, "face"), (3.2, "5")]
    assert np.isfinite(recording.data).all()
    assert recording.n_times == 1000


def test_codes_are_events_where_they_change(tmp_path: Path) -> None:
    marks = np.zeros(1000, int)
    marks[250:260], marks[500:510] = 1, 2
    path = write_table(tmp_path / "r.csv", "trigger,Fz,Oz", table_rows(noise(1000, 2), marks))
    recording = load_recording(path, units="uV", sfreq=250)
    assert [(event.onset, event.label) for event in recording.events] == [(1.0, "1"), (2.0, "2")]


def test_prose_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("Dear reader, this is a letter\nand no table\n")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "r.csv"))) as caught:
        load_recording(tmp_path / "r.csv", sfreq=250)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("letter", [0x110000, 0xFFFFFFFF, 0xD800])
def test_letters_that_no_alphabet_has_are_replaced(tmp_path: Path, order: str, letter: int) -> None:
    """NumPy makes strings of them that crash on use: SystemError, invalid maximum character."""
    names = np.array(["O1", "O2", "xx"], f"{order}U2")
    names.view(f"{order}u4")[4] = letter
    eeg = np.random.default_rng(0).standard_normal((3, 1000)) * 20
    np.savez(tmp_path / "r.npz", eeg=eeg, ch_names=names, sfreq=250.0, unit=np.array("uV"))
    recording = load_recording(tmp_path / "r.npz")
    assert recording.ch_names == ("O1", "O2", "\ufffdx")
