"""Headsets' files: what their makers' programs write beyond the plain case, and what is refused with its reason."""

from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from core.formats.headsets.brainflow import BOARDS
from core.formats.headsets.openbci_sd import VOLTS_PER_COUNT
from core.loading.load import load_recording
from core.recording import describe
from tests.format_cases import headsets as written
from tests.format_cases.case import truth

INSIGHT = truth("AF3 T7 Pz T8 AF4", 128.0)
MUSE = truth("TP9 AF7 AF8 TP10", 256.0, labels=("/Marker/1", "/muse/elements/blink"))
CYTON = written.numbered(8, 250.0)


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def put(path: Path, lines: list[str]) -> Path:
    return written.write_lines(path, lines)


def without_median(data: np.ndarray) -> np.ndarray:
    return data - np.median(data, axis=1, keepdims=True)


def same(recording, data: np.ndarray, atol: float = 2e-9) -> None:
    np.testing.assert_allclose(without_median(recording.data), without_median(data), atol=atol)


# Emotiv


def test_emotiv_pro_leaves_everything_but_electrodes_out_and_says_why(tmp_path: Path) -> None:
    recording = load_recording(written.write_emotiv_pro(tmp_path, INSIGHT, "", "INSIGHT"))
    dropped = recording.source["dropped"]
    assert {dropped[name] for name in ("CQ.AF3", "EQ.OVERALL", "EEG.RawCq")} == {"signal quality"}
    assert dropped["MOT.AccX"] == "motion"
    assert dropped["POW.AF3.Alpha"] == "band powers"
    assert dropped["PM.Engagement.IsActive"] == "performance metrics"
    assert dropped["EEG.Counter"] == dropped["Timestamp"] == "bookkeeping"
    assert recording.source["timing"]["lost_samples"] == 0
    assert recording.source["timing"]["measured_hz"] == pytest.approx(128, abs=0.01)


def test_emotiv_pro_without_its_first_line_has_its_rate_from_the_timestamps(tmp_path: Path) -> None:
    path = written.write_emotiv_pro(tmp_path, INSIGHT, "", "INSIGHT")
    recording = load_recording(put(path, lines_of(path)[1:]))
    assert recording.sfreq == 128.0
    assert recording.source["timing"]["stated_by"] == "measured"
    assert [round(event.onset * 128) for event in recording.events] == [round(on * 128) for on, _ in INSIGHT.events]


@pytest.mark.parametrize("said", ["sampling rate:128", "sampling rate:eeg_128", "sampling rate:mot_32;eeg_128;pow_8"])
def test_emotiv_pro_states_its_rate_in_several_ways(tmp_path: Path, said: str) -> None:
    path = written.write_emotiv_pro(tmp_path, INSIGHT, "", "INSIGHT")
    lines = lines_of(path)
    lines[0] = lines[0].replace("sampling rate:eeg_128;mot_32;pow_8, samples:2048", f"{said}, samples:2048 ")
    recording = load_recording(put(path, lines))
    assert (recording.sfreq, recording.source["timing"]["stated_by"]) == (128.0, "declared")
    assert not any("the end is missing" in note for note in recording.source["notes"])


def test_emotiv_pro_saved_by_a_spreadsheet_with_decimal_commas_is_the_same(tmp_path: Path) -> None:
    path = written.write_emotiv_pro(tmp_path, INSIGHT, "", "INSIGHT")
    about, *rows = lines_of(path)
    path = put(tmp_path / "commas.csv", [about, *(row.replace(",", ";").replace(".", ",") for row in rows[1:])])
    path = put(path, [about, rows[0].replace(",", ";"), *lines_of(path)[1:]])
    same(load_recording(path), INSIGHT.data)


def test_emotiv_pro_with_fewer_rows_than_its_header_says_is_cut_off(tmp_path: Path) -> None:
    path = written.write_emotiv_pro(tmp_path, INSIGHT, "", "INSIGHT")
    recording = load_recording(put(path, lines_of(path)[:-300]))
    assert "its header claims 2048 samples, it holds 1748: the end is missing (cut off?)" in recording.source["notes"]


def test_emotiv_samples_lost_on_the_air_are_counted_and_interpolated_ones_told(tmp_path: Path) -> None:
    path = written.write_emotiv_pro(tmp_path, INSIGHT, "", "INSIGHT")
    lines = lines_of(path)
    del lines[402:405]
    cells = [line.split(",") for line in lines]
    for row in cells[700:705]:
        row[3] = "1"
    recording = load_recording(put(path, [",".join(row) for row in cells]))
    assert recording.source["timing"]["lost_samples"] == 3
    assert any("5 samples did not arrive and were interpolated" in note for note in recording.source["notes"])


def test_emotiv_rows_of_other_streams_between_the_samples_are_left_out(tmp_path: Path) -> None:
    path = written.write_emotiv_pro(tmp_path, INSIGHT, "", "INSIGHT")
    about, names, *rows = lines_of(path)
    n_columns = len(names.split(","))
    mixed = [line for i, row in enumerate(rows) for line in ([row, "," * (n_columns - 1)] if i % 4 == 0 else [row])]
    recording = load_recording(put(path, [about, names, *mixed]))
    same(recording, INSIGHT.data)
    assert [round(event.onset * 128) for event in recording.events] == [round(on * 128) for on, _ in INSIGHT.events]


def test_emotiv_markers_in_a_list_beside_it_go_before_the_numbers_in_its_rows(tmp_path: Path) -> None:
    path = written.write_emotiv_pro(tmp_path, INSIGHT, "", "INSIGHT")
    head = "latency,duration,type,marker_value,key,timestamp,marker_id"
    beside = put(
        tmp_path / "INSIGHT_intervalMarker.csv",
        [head, "2.5,0.00,face,10,-1,1699963202.5,1", "4.25,1.5,eyes closed,3,-1,1699963204.25,2"],
    )
    recording = load_recording(path)
    told = [(round(event.onset * 128) / 128, event.duration, event.label) for event in recording.events]
    assert told == [(2.5, 0.0, "face"), (4.25, 1.5, "eyes closed")]
    assert set(recording.source["companions"]) == {beside.name}
    assert any("MarkerValueInt@*" in note for note in recording.source["notes"])
    assert {event.label for event in load_recording(path, events="MarkerValueInt@*").events} == {"1", "2"}

    beside.rename(tmp_path / "OTHER_intervalMarker.csv")
    assert {event.label for event in load_recording(path).events} == {"1", "2"}


def test_emotiv_markers_of_the_same_value_in_a_row_are_two_and_one_that_is_held_is_one(tmp_path: Path) -> None:
    path = written.write_emotiv_pro(tmp_path, replace(INSIGHT, events=()), "", "INSIGHT")
    cells = [line.split(",") for line in lines_of(path)]
    index, value = cells[1].index("MarkerIndex"), cells[1].index("MarkerValueInt")
    for row, number in ((202, "1"), (203, "2"), (502, "3"), (503, "3"), (504, "3")):
        cells[row][index], cells[row][value] = number, "7"
    recording = load_recording(put(path, [",".join(row) for row in cells]))
    assert [(round(event.onset * 128), event.label) for event in recording.events] == [
        (200, "7"),
        (201, "7"),
        (500, "7"),
    ]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("Timestamp,MOT.CounterMems,MOT.Q0,MOT.AccX", "only motion.*Emotiv writes the EEG to another file"),
        ("COUNTER_MEMS,INTERPOLATED,GYROX,GYROY,ACCX", "only motion.*Emotiv writes the EEG to another file"),
        ("Timestamp,POW.AF3.Theta,PM.Stress.Scaled,CQ.AF3", "no raw EEG in it, only band powers, performance metrics"),
        ("latency,duration,type,marker_value,key,timestamp,marker_id", "a list of markers.*no recording"),
    ],
)
def test_emotiv_files_without_eeg_are_refused_by_what_they_hold(tmp_path: Path, names: str, said: str) -> None:
    rows = [",".join(["1"] * len(names.split(",")))] * 50
    with pytest.raises(ValueError, match=rf"export\.csv: {said}"):
        load_recording(put(tmp_path / "export.csv", [names, *rows]))


def test_every_real_insight_file_loads_with_its_blocks(shared_data: Path) -> None:
    archive = shared_data / written.INSIGHT_ZIP
    members = [name for name in ZipFile(archive).namelist() if name.endswith(".csv")]
    assert len(members) == 10
    for member in members[::3]:
        recording = load_recording(archive, member=member)
        assert (recording.ch_names, recording.sfreq) == (("AF3", "T7", "Pz", "T8", "AF4"), 128.0)
        assert recording.source["timing"]["lost_samples"] == 0
        assert len(recording.events) == 20
        assert {event.label for event in recording.events} == {"Blank", "Image"}
        # a block lasts two seconds
        assert np.median(np.diff([event.onset for event in recording.events])) == pytest.approx(2, abs=0.05)


def test_eye_state_comes_with_its_codes_and_the_rate_of_an_epoc(shared_data: Path) -> None:
    recording = load_recording(shared_data / "eeg_formats/emotiv/EEG_Eye_State.arff.gz")
    assert (recording.n_channels, recording.n_times, recording.sfreq) == (14, 14980, 128.0)
    assert {event.label for event in recording.events} == {"1"}


# Muse


def test_mind_monitor_recorded_at_an_interval_is_refused_by_name(shared_data: Path) -> None:
    path = shared_data / "eeg_formats/muse_csv/eeglab_testmusemonitor.csv"
    with pytest.raises(ValueError, match=r"0\.983 rows a second, where a Muse samples 256 times.*not 'Constant'"):
        load_recording(path)


def test_mind_monitor_keeps_its_auxiliary_input_where_asked_and_drops_band_powers(tmp_path: Path) -> None:
    path = written.write_mind_monitor(tmp_path, MUSE, "")
    lines = lines_of(path)
    rng = np.random.default_rng(1)
    column = lines[0].split(",").index("AUX_RIGHT")
    cells = [line.split(",") for line in lines]
    for row in cells[1:]:
        row[column] = f"{800 + 20 * rng.standard_normal():.4f}" if row[column] else ""
    recording = load_recording(put(path, [",".join(row) for row in cells]), keep=["AUX_RIGHT"])
    assert recording.ch_names == ("TP9", "AF7", "AF8", "TP10", "AUX_RIGHT")
    assert recording.source["dropped"]["Alpha_AF7"] == "band powers of the app"
    assert recording.source["timing"]["measured_hz"] == pytest.approx(256, rel=2e-3)


def test_mind_monitor_with_band_powers_only_is_refused(tmp_path: Path) -> None:
    rows = ["2023-11-14 12:00:00.000,0.5,0.4"] * 20
    with pytest.raises(ValueError, match="has no RAW_ columns, only band powers"):
        load_recording(put(tmp_path / "m.csv", ["TimeStamp,Alpha_TP9,Alpha_AF7", *rows]))


# OpenBCI


def test_the_real_gui_file_has_its_samples_at_its_rate(shared_data: Path) -> None:
    recording = load_recording(shared_data / "eeg_formats/openbci/OpenBCI_GUI-v6-blinks-jawClench-alpha.txt.gz")
    assert (recording.n_channels, recording.n_times, recording.sfreq) == (8, 22490, 250.0)
    assert np.diff(recording.data[0, :3] * 1e6) == pytest.approx([60973.46 - 61379.36, 61433.45 - 60973.46], abs=0.02)
    assert recording.source["timing"]["lost_samples"] == 0
    assert "OpenBCI GUI writes uV, BoardCytonSerial" in describe(recording)


def test_the_first_gui_had_no_number_of_channels_and_only_the_time_of_day(tmp_path: Path) -> None:
    head = ["%OpenBCI Raw EEG Data", "%", "%Sample Rate = 250.0 Hz", "%First Column = SampleIndex"]
    rows = []
    for i, row in enumerate((CYTON.data * 1e6).T):
        clock = str(np.datetime64(86_390_000 + i * 4, "ms"))[11:]
        rows.append(f"{i % 256}, {', '.join(f'{value:.2f}' for value in row)}, 0.000, 0.000, 0.000, {clock}")
    recording = load_recording(put(tmp_path / "OpenBCI-RAW-v1.txt", [*head, *rows]))
    same(recording, CYTON.data, atol=1e-8)
    # the time of day begins anew at midnight, the recording does not
    assert (recording.sfreq, recording.segments) == (250.0, (0,))


def test_rows_that_stand_twice_in_a_daisy_file_are_taken_once(tmp_path: Path) -> None:
    daisy = written.numbered(16, 125.0)
    path = written.write_openbci_gui(tmp_path, daisy, "", "BoardCytonSerialDaisy")
    lines = lines_of(path)
    doubled = [line for line in lines[5:] for _ in range(2)]
    recording = load_recording(put(path, [*lines[:5], *doubled]))
    same(recording, daisy.data, atol=1e-8)
    assert recording.sfreq == 125.0
    assert any("every row stood there twice" in note for note in recording.source["notes"])


def test_samples_that_a_dongle_lost_are_counted(tmp_path: Path) -> None:
    path = written.write_openbci_gui(tmp_path, CYTON, "")
    lines = lines_of(path)
    del lines[1000:1005]
    recording = load_recording(put(path, lines))
    assert recording.source["timing"]["lost_samples"] == 5


def test_digital_inputs_are_events_only_where_they_are_asked_for(tmp_path: Path) -> None:
    path = written.write_openbci_gui(tmp_path, replace(CYTON, events=()), "")
    lines = lines_of(path)
    cells = [line.split(", ") for line in lines]
    column = cells[4].index("Digital Channel 0")
    for row in cells[505:600]:
        row[column] = "1.0"
    put(path, [", ".join(row) for row in cells])
    assert load_recording(path).events == ()
    asked = load_recording(path, events="Digital Channel 0@1=button")
    assert [(round(event.onset * 250), event.label) for event in asked.events] == [(500, "button")]


def test_openbci_files_of_other_data_or_other_columns_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "a.txt", ["%OpenBCI Raw Aux Data", "%Sample Rate = 25 Hz", "Sample Index, PPG", "0, 1"])
    with pytest.raises(ValueError, match="auxiliary data, no EEG"):
        load_recording(path)
    path = written.write_openbci_gui(tmp_path, CYTON, "")
    path.write_text(path.read_text().replace("channels = 8", "channels = 16"))
    with pytest.raises(ValueError, match="16 channels in the header, 8 in its columns"):
        load_recording(path)


def test_sd_card_counts_come_to_volts_and_the_unused_rest_is_left(tmp_path: Path) -> None:
    path = written.write_openbci_sd(tmp_path, CYTON, "")
    path.write_bytes(path.read_bytes() + b"\xff" * 5000 + b"\n")
    recording = load_recording(path)
    same(recording, CYTON.data, atol=VOLTS_PER_COUNT)
    np.testing.assert_allclose(VOLTS_PER_COUNT * 1e6, 0.02235, atol=1e-5)
    assert recording.source["timing"]["stated_by"] == "declared"


def test_sd_card_without_a_footer_has_its_rate_from_the_stamps_of_the_board(tmp_path: Path) -> None:
    fast = written.numbered(8, 1000.0, seconds=8)
    path = written.write_openbci_sd(tmp_path, fast, "")
    lines = lines_of(path)
    recording = load_recording(put(path, lines[: lines.index("%STOP AT") + 2]))
    assert recording.sfreq == 1000.0
    assert any("not the 250 Hz that the maker documents" in note for note in recording.source["notes"])


def test_sd_card_stopped_in_between_is_in_two_segments(tmp_path: Path) -> None:
    path = written.write_openbci_sd(tmp_path, CYTON, "")
    lines = lines_of(path)
    lines[1502:1502] = ["%STOP AT", f"{7000 + 6000:08X}", "%START AT", f"{7000 + 60000:08X}"]
    end = lines.index("%STOP AT", 1600)
    lines[end + 1] = f"{67000 + 10000:08X}"
    recording = load_recording(put(path, lines[: end + 2]))
    assert recording.segments == (0, 1500)
    assert recording.sfreq == 250.0


def test_sd_card_rows_that_are_not_hexadecimal_are_missing_and_many_are_refused(tmp_path: Path) -> None:
    path = written.write_openbci_sd(tmp_path, CYTON, "")
    lines = lines_of(path)
    lines[800] = lines[800].replace(",", ",G", 1)[: len(lines[800])]
    recording = load_recording(put(path, lines))
    assert any("1 rows are not hexadecimal" in note for note in recording.source["notes"])
    for i in range(100, 2000, 20):
        lines[i] = "?" + lines[i][1:]
    with pytest.raises(ValueError, match="rows are not hexadecimal numbers: damaged"):
        load_recording(put(path, lines))


# BrainFlow and Unicorn


def test_brainflow_asks_for_the_board_and_lists_those_that_fit(tmp_path: Path) -> None:
    path = written.write_brainflow(tmp_path, truth("Fp1 Fp2 C3 C4 P7 P8 O1 O2", 250.0), "")
    with pytest.raises(ValueError, match=r"say it with board= \(--board\).*24 columns: 0 CYTON, 5 CYTON_WIFI"):
        load_recording(path)
    with pytest.raises(ValueError, match=r"a MUSE_2 \(board 38\) writes 8 columns, this file has 24.*0 CYTON"):
        load_recording(path, board="Muse 2")
    with pytest.raises(ValueError, match=r"board='toaster' \(--board\) is no board"):
        load_recording(path, board="toaster")
    recording = load_recording(path, board=0)
    assert recording.ch_names == load_recording(path, board="CYTON_BOARD").ch_names
    assert any("BrainFlow's defaults for CYTON" in note for note in recording.source["notes"])


def test_brainflow_boards_are_what_brainflow_says() -> None:
    known = {"MUSE_2": 256, "CYTON": 250, "CYTON_DAISY": 125, "GANGLION": 200, "CROWN": 256, "UNICORN": 250}
    by_name = {board.name: board for board in BOARDS.values()}
    assert {name: by_name[name].sfreq for name in known} == known
    for number, board in BOARDS.items():
        rows = {*range(board.first_eeg, board.first_eeg + board.n_eeg)}
        others = {board.package, board.timestamp, board.marker}
        assert len(rows | others) == board.n_eeg + 3, number
        assert max(rows | others) < board.n_rows, number
        assert len(board.ch_names) == board.n_eeg, number
    shim = pytest.importorskip("brainflow.board_shim")
    for number, board in BOARDS.items():
        told = shim.BoardShim.get_board_descr(number)
        assert (told["num_rows"], told["timestamp_channel"], told["marker_channel"]) == (
            board.n_rows, board.timestamp, board.marker,
        )  # fmt: skip
        assert told["eeg_channels"] == list(range(board.first_eeg, board.first_eeg + board.n_eeg))
        assert told["sampling_rate"] == board.sfreq


def test_unicorn_samples_that_are_not_valid_are_missing_and_its_counter_tells_losses(tmp_path: Path) -> None:
    what = truth("Fz C3 Cz C4 Pz PO7 Oz PO8", 250.0)
    path = written.write_unicorn(tmp_path, what, "")
    lines = lines_of(path)
    lines[1001:1004] = [line[:-1] + "0" for line in lines[1001:1004]]
    del lines[2001]
    recording = load_recording(put(path, lines))
    assert recording.source["timing"]["lost_samples"] == 1
    assert any("3 samples are marked as not valid" in note for note in recording.source["notes"])
    assert any(sentence.startswith("Fz: 1 gaps") for sentence in recording.source["repaired"])


def test_unicorn_with_timestamps_in_milliseconds_has_its_rate_measured(tmp_path: Path) -> None:
    what = truth("Fz C3 Cz C4 Pz PO7 Oz PO8", 250.0)
    path = written.write_unicorn(tmp_path, what, "")
    head, *rows = lines_of(path)
    put(path, [f"Timestamp,{head}", *(f"{1687340939292 + 4 * i},{row}" for i, row in enumerate(rows))])
    recording = load_recording(path)
    assert recording.source["timing"]["measured_hz"] == pytest.approx(250)
    same(recording, what.data)


@pytest.mark.parametrize("case", [case for case in written.CASES if case.reader != "arff"], ids=lambda case: case.name)
def test_a_headset_file_is_recognised_whatever_its_name(case, tmp_path: Path) -> None:
    path = case.write(tmp_path, case.truth, "")
    other = path.rename(tmp_path / "recording.dat")
    assert load_recording(other, **case.options).source["format"] == case.reader
