"""Formats of headsets, written line by line as their makers document them: no library writes these."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from .case import LOOSER, FormatCase, Truth, truth

# 2023-11-14 12:00:00, as UNIX time
START = 1699963200.0
BURST = 12


def microvolts(what: Truth, lie: str, offset: float = 0.0, wrong: float = 1e-6) -> np.ndarray:
    """The truth in microvolts on an offset; the lie about units is a factor (volts where microvolts are meant)."""
    return (what.data * 1e6 + offset) * (wrong if lie == "units" else 1.0)


def times(what: Truth, lie: str) -> np.ndarray:
    """Seconds since the start; the lie about the rate has them run 2.4 percent apart from the rate that is stated."""
    return np.arange(what.data.shape[1]) / (what.sfreq * (LOOSER if lie == "rate" else 1.0))


def bursts(stamps: np.ndarray) -> np.ndarray:
    """Timestamps as Bluetooth gives them: twelve samples arrive at once, a millisecond after another."""
    first = stamps[(np.arange(len(stamps)) // BURST) * BURST]
    return first + (np.arange(len(stamps)) % BURST) * 1e-3


def markers(what: Truth) -> np.ndarray:
    codes = np.zeros(what.data.shape[1], int)
    for onset, label in what.events:
        codes[round(onset * what.sfreq)] = int(label)
    return codes


def numbered(n_channels: int, sfreq: float, **kw) -> Truth:
    """A truth whose channels have the GUI's names, which tell no place."""
    base = truth(" ".join(f"E{i}" for i in range(n_channels)), sfreq, **kw)
    return replace(base, ch_names=tuple(f"EXG Channel {i}" for i in range(n_channels)))


def write_lines(path: Path, lines: list[str], end: str = "\n") -> Path:
    path.write_bytes(end.join([*lines, ""]).encode())
    return path


def write_emotiv_pro(folder: Path, what: Truth, lie: str, headset: str = "EPOCX") -> Path:
    """EmotivPRO 2 and 3: a line of keys and values, a line of names; slower streams leave blanks."""
    stamps = START + times(what, lie)
    uv, marks, n = microvolts(what, lie, 4200), markers(what), what.data.shape[1]
    places = list(what.ch_names)
    names = ["Timestamp", "OriginalTimestamp", "EEG.Counter", "EEG.Interpolated", *(f"EEG.{p}" for p in places)]
    names += ["EEG.RawCq", "EEG.Battery", "EEG.BatteryPercent", "MarkerIndex", "MarkerType", "MarkerValueInt"]
    names += ["EEG.MarkerHardware", *(f"CQ.{p}" for p in places), "CQ.Overall", "EQ.SampleRateQuality", "EQ.OVERALL"]
    names += [*(f"EQ.{p}" for p in places), "MOT.CounterMems", "MOT.InterpolatedMems", "MOT.Q0", "MOT.AccX"]
    names += [f"POW.{p}.{band}" for p in places[:2] for band in ("Theta", "Alpha")] + ["PM.Engagement.IsActive"]
    about = (
        f"title:looking at pictures, start timestamp:{stamps[0]:.6f}, stop timestamp:{stamps[-1]:.6f}, "
        f"headset type:{headset}, headset serial:E2020711, headset firmware:631, channels:{len(names)}, "
        f"sampling rate:eeg_{what.sfreq:.0f};mot_32;pow_8, samples:{n}, version:2.1,"
    )
    lines, seen = [about, ",".join(names)], 0
    for i in range(n):
        seen += bool(marks[i])
        row = [f"{stamps[i]:.6f}", f"{stamps[i] + 0.01:.6f}", str(i % int(what.sfreq)), "0"]
        row += [f"{value:.6f}" if lie != "units" else f"{value:.9g}" for value in uv[:, i]]
        row += ["1", "4", "86", *([str(seen), "1", str(marks[i])] if marks[i] else ["", "", ""]), "0"]
        row += ["4"] * len(places) + ["100", "1.0", "100"] + ["4"] * len(places)
        row += [str(i % 32), "0", "0.53", "-0.02"] if i % 4 == 0 else [""] * 4
        row += ["1.25"] * 4 if i % 16 == 0 else [""] * 4
        row += ["1" if i % 1280 == 0 else ""]
        lines.append(",".join(row))
    return write_lines(folder / f"{headset}.md.bp.csv", lines)


def write_testbench(folder: Path, what: Truth, lie: str) -> Path:
    """TestBench: one line with the labels separated by blanks, numbers below."""
    stamps = START + times(what, lie)
    quality = " ".join(f"CQ_{place}" for place in what.ch_names)
    labels = f"COUNTER INTERPOLATED {' '.join(what.ch_names)} RAW_CQ GYROX GYROY MARKER MARKER_HARDWARE SYNC"
    labels += f" TIME_STAMP_s TIME_STAMP_ms {quality}"
    about = f"title:pictures,recorded:14.11.23 12.00.00,sampling:{what.sfreq:.0f},subject:ada,labels:{labels},"
    lines = [about + f"chan:{len(labels.split())},samples:{what.data.shape[1]},units:emotiv"]
    uv, marks = microvolts(what, lie, 4200), markers(what)
    for i, stamp in enumerate(stamps):
        row = [i % 129, 0, *(f"{value:.9g}" for value in uv[:, i]), 12, 1690, 1720, marks[i], 0, 1]
        row += [int(stamp), f"{stamp % 1 * 1000:.3f}", *([4] * len(what.ch_names))]
        lines.append(",".join(map(str, row)))
    return write_lines(folder / "testbench.csv", lines, "\r\n")


def write_muse_lsl(folder: Path, what: Truth, lie: str) -> Path:
    """muse-lsl's record: pandas writes the names and three decimals of the time."""
    uv, marks = microvolts(what, lie), markers(what)
    lines = [",".join(["timestamps", *what.ch_names, "Right AUX", "Marker0"])]
    for i, stamp in enumerate(bursts(START + times(what, lie))):
        lines.append(",".join([f"{stamp:.3f}", *(f"{value:.9g}" for value in uv[:, i]), "-100.098", str(marks[i])]))
    return write_lines(folder / "muse.csv", lines)


def write_mind_monitor(folder: Path, what: Truth, lie: str) -> Path:
    """Mind Monitor at "constant": local clock in milliseconds, bands repeated, a row of its own for each element."""
    bands = [f"{band}_{p}" for band in ("Delta", "Theta", "Alpha", "Beta", "Gamma") for p in what.ch_names]
    names = ["TimeStamp", *bands, *(f"RAW_{p}" for p in what.ch_names), "AUX_RIGHT", "Accelerometer_X", "Gyro_X"]
    names += ["HeadBandOn", *(f"HSI_{p}" for p in what.ch_names), "Battery", "Elements"]
    uv = microvolts(what, lie, 850)
    labels = {round(onset * what.sfreq): label for onset, label in what.events}
    stamps = bursts(START + times(what, lie))
    clock = [str(np.datetime64(round(stamp * 1000), "ms")).replace("T", " ") for stamp in stamps]
    lines = [",".join(names)]
    for i, when in enumerate(clock):
        if i in labels:
            lines.append(when + "," * (len(names) - 1) + labels[i])
        row = [when, *["0.49808"] * len(bands), *(f"{value:.9g}" for value in uv[:, i]), "866.3", "0.48", "1.6", "1"]
        # the rows of samples have no cell for Elements at all
        lines.append(",".join([*row, *["1.0"] * len(what.ch_names), "87.5"]))
    return write_lines(folder / "mindMonitor_2023-11-14--12-00-00.csv", lines)


def java(value: float) -> str:
    """Return a double as Java prints it: with an exponent from ten million on."""
    if abs(value) < 1e7:
        return repr(float(value))
    digits = f"{value:.15e}".split("e")
    return f"{float(digits[0])!r}E{int(digits[1])}"


_INPUTS = {
    "BoardCytonSerial": [
        "Not Used",
        *(f"Digital Channel {i}" for i in range(4)),
        "Not Used",
        "Digital Channel 4",
        *(f"Analog Channel {i}" for i in range(3)),
    ],
    "BoardGanglionBLE": ["Other"] * 5,
}
_INPUTS["BoardCytonSerialDaisy"] = _INPUTS["BoardCytonSerial"]


def write_openbci_gui(folder: Path, what: Truth, lie: str, board: str = "BoardCytonSerial") -> Path:
    """GUI 5 and 6: four lines of header, a line of names, doubles as Java prints them, UNIX time in seconds."""
    uv, marks = microvolts(what, lie, 12345), markers(what)
    stamps = START + times(what, lie)
    names = ["Sample Index", *what.ch_names, *(f"Accel Channel {i}" for i in range(3)), *_INPUTS[board]]
    names += ["Timestamp", "Marker Channel", "Timestamp (Formatted)"]
    head = ["%OpenBCI Raw EXG Data", f"%Number of channels = {len(what.ch_names)}"]
    lines = [*head, f"%Sample Rate = {what.sfreq:.0f} Hz", f"%Board = OpenBCI_GUI${board}", ", ".join(names)]
    for i, stamp in enumerate(stamps):
        index = i % 256
        if board == "BoardCytonSerialDaisy":
            index = (2 * i) % 256
        elif board == "BoardGanglionBLE":
            index = (i + 1) // 2 % 101
        cells = [float(index), *uv[:, i], 0.04, 0.42, 0.238, *([0.0] * len(_INPUTS[board])), stamp, float(marks[i])]
        when = str(np.datetime64(round(stamp * 1000), "ms")).replace("T", " ")
        lines.append(", ".join([*(java(cell) for cell in cells), when]))
    return write_lines(folder / f"OpenBCI-RAW-{board}.txt", lines, "\r\n")


def write_openbci_v4(folder: Path, what: Truth, lie: str) -> Path:
    """GUI 4: six lines of header, no names, two decimals, the time of day and milliseconds since 1970 at the end."""
    uv = microvolts(what, lie, -25000, 1e3)
    lines = ["%OpenBCI Raw EEG Data", f"%Number of channels = {len(what.ch_names)}", f"%Sample Rate = {what.sfreq} Hz"]
    lines += ["%First Column = SampleIndex", "%Last Column = Timestamp "]
    lines += ["%Other Columns = EEG data in microvolts followed by Accel Data (in G) interleaved with Aux Data"]
    for i, stamp in enumerate(START + times(what, lie)):
        clock = str(np.datetime64(round(stamp * 1000), "ms"))[11:]
        values = ", ".join(f"{value:.2f}" for value in uv[:, i])
        lines.append(f"{i % 256}, {values}, 0.012, -0.044, 1.010, {clock}, {round(stamp * 1000)}")
    return write_lines(folder / "OpenBCI-RAW-v4.txt", lines)


def write_openbci_sd(folder: Path, what: Truth, lie: str) -> Path:
    """The SD card's text: hexadecimal, inputs with every tenth row, stamps of the board's milliseconds, a footer."""
    counts = np.rint(what.data / (4.5 / 24 / (2**23 - 1))).astype(np.int64)
    stamps = times(what, lie)
    lines = ["%START AT", f"{7000:08X}"]
    for i in range(counts.shape[1]):
        cells = [f"{i % 256:02X}", *(f"{value & 0xFFFFFF:06X}" for value in counts[:, i])]
        lines.append(",".join([*cells, *(["FF80", "0020", "1F40"] if i % 10 == 0 else [])]))
    lines += ["%STOP AT", f"{7000 + round((stamps[-1] + stamps[1]) * 1000):08X}", "", "%SamplingFreq:"]
    lines += [f"{int(what.sfreq):05X}", "%Total time mS:", f"{16000:08X}", "%Over:", "00000000", "%block, uS"]
    path = write_lines(folder / "OBCI_1A.TXT", lines)
    if lie != "whole":
        # the card's file has its full length from the start: what was not reached is zeros
        path.write_bytes(path.read_bytes() + b"\x00" * 300)
    return path


def write_brainflow(folder: Path, what: Truth, lie: str) -> Path:
    """BrainFlow's file streamer for a Cyton: 24 tab-separated numbers of six decimals."""
    uv, marks, n = microvolts(what, lie, 0.0 if lie == "units" else 9000.0), markers(what), what.data.shape[1]
    table = np.zeros((24, n))
    table[0], table[1:9], table[9:12] = np.arange(n) % 256, uv, 0.25
    table[22], table[23] = START + bursts(times(what, lie)), marks
    return write_lines(folder / "BrainFlow-RAW_0.csv", ["\t".join(f"{cell:.6f}" for cell in row) for row in table.T])


def write_unicorn(folder: Path, what: Truth, lie: str) -> Path:
    """Unicorn Recorder: eight channels, motion, battery, counter and validation indicator."""
    names = [f"EEG {n + 1}" for n in range(8)]
    names += [f"{sensor} {axis}" for sensor in ("Accelerometer", "Gyroscope") for axis in "XYZ"]
    lines = [",".join([*names, "Battery Level", "Counter", "Validation Indicator"])]
    for i, row in enumerate(microvolts(what, lie).T):
        rest = "-0.036,0.87,-0.468,0.641,1.373,0.397,66.667"
        lines.append(",".join([*(f"{value:.9g}" for value in row), rest, f"{308202 + i}", "1"]))
    return write_lines(folder / "UnicornRecorder.csv", lines)


def write_arff(folder: Path, what: Truth, lie: str) -> Path:
    """The UCI data set's form: an attribute for each of the EPOC's electrodes and the state of the eyes."""
    lines = ["@RELATION EEG_DATA", "", *(f"@ATTRIBUTE {name} NUMERIC" for name in what.ch_names)]
    lines += ["@ATTRIBUTE eyeDetection {0,1}", "", "@DATA"]
    uv, marks = microvolts(what, lie, 4200), markers(what)
    for i in range(uv.shape[1]):
        lines.append(",".join([*(f"{value:.9g}" for value in uv[:, i]), str(marks[i])]))
    return write_lines(folder / "eyes.arff", lines)


EPOC = "AF3 F7 F3 FC5 T7 P7 O1 O2 P8 T8 FC6 F4 F8 AF4"
FLEX = "Cz Fz Fp1 F7 F3 FC1 C3 FC5 FT9 T7 CP5 CP1 P3 P7 PO9 O1 Pz Oz O2 PO10 P8 P4 CP2 CP6 T8 FT10 FC6 C4 FC2 F4 F8 Fp2"
BY_HAND = "by hand, as the maker documents it"
NO_RATE = {"rate": "it states no rate: the maker's is taken, or what the timestamps tell"}
NO_EVENTS = {"events": "it holds no markers"}
INSIGHT_ZIP = "eeg_formats/emotiv/brain_download_baseline_insight5.zip"


def _insight(folder: Path, what: Truth, lie: str) -> Path:
    return write_emotiv_pro(folder, what, lie, "INSIGHT")


def _flex(folder: Path, what: Truth, lie: str) -> Path:
    return write_emotiv_pro(folder, what, lie, "EPOCFLEX")


def _daisy(folder: Path, what: Truth, lie: str) -> Path:
    return write_openbci_gui(folder, what, lie, "BoardCytonSerialDaisy")


def _ganglion(folder: Path, what: Truth, lie: str) -> Path:
    return write_openbci_gui(folder, what, lie, "BoardGanglionBLE")


MIND_MONITOR = truth("TP9 AF7 AF8 TP10", 256.0, labels=("/Marker/1", "/muse/elements/blink"))

CASES = (
    FormatCase("EmotivPRO EPOC X", "emotiv", truth(EPOC, 256.0), write_emotiv_pro, BY_HAND, 0.001),
    FormatCase(
        "EmotivPRO Insight",
        "emotiv",
        truth("AF3 T7 Pz T8 AF4", 128.0),
        _insight,
        BY_HAND,
        0.001,
        real={INSIGHT_ZIP: {"member": "Baseline/Open_20sx1_201227-102620.csv"}},
    ),
    FormatCase("EmotivPRO Flex", "emotiv", truth(FLEX, 128.0), _flex, BY_HAND, 0.001),
    FormatCase("Emotiv TestBench", "emotiv", truth(EPOC, 128.0), write_testbench, BY_HAND, 0.001),
    FormatCase(
        "muse-lsl",
        "muse",
        truth("TP9 AF7 AF8 TP10", 256.0),
        write_muse_lsl,
        BY_HAND,
        0.001,
        why_not=NO_RATE,
        real={
            "n170_muse/subject1_session1_data_2017-09-13-15.30.01.csv.gz": {},
            "n170_muse/subject11_session1_recording_2018-06-06-18.42.19.csv.gz": {"keep": ["Right AUX"]},
        },
    ),
    FormatCase(
        "Mind Monitor",
        "mind_monitor",
        replace(MIND_MONITOR, events=((0.0, "/muse/event/connected MuseS-84AC"), *MIND_MONITOR.events)),
        write_mind_monitor,
        BY_HAND,
        0.001,
        why_not=NO_RATE,
        refused={"eeg_formats/muse_csv/eeglab_testmusemonitor.csv": "recording interval was not 'Constant'"},
    ),
    FormatCase(
        "OpenBCI GUI 6 Cyton",
        "openbci",
        numbered(8, 250.0),
        write_openbci_gui,
        BY_HAND,
        0.01,
        real={"eeg_formats/openbci/OpenBCI_GUI-v6-blinks-jawClench-alpha.txt.gz": {}},
    ),
    FormatCase("OpenBCI GUI 5 Daisy", "openbci", numbered(16, 125.0), _daisy, BY_HAND, 0.01),
    FormatCase("OpenBCI GUI 5 Ganglion", "openbci", numbered(4, 200.0), _ganglion, BY_HAND, 0.01),
    FormatCase(
        "OpenBCI GUI 4 Cyton",
        "openbci",
        numbered(8, 250.0),
        write_openbci_v4,
        BY_HAND,
        0.01,
        why_not=NO_EVENTS,
    ),
    FormatCase(
        "OpenBCI SD Cyton",
        "openbci_sd",
        numbered(8, 250.0),
        write_openbci_sd,
        BY_HAND,
        0.03,
        why_not={**NO_EVENTS, "units": "its numbers are counts of the converter, whose size is the hardware's"},
    ),
    FormatCase(
        "OpenBCI SD Daisy",
        "openbci_sd",
        numbered(16, 250.0),
        write_openbci_sd,
        BY_HAND,
        0.03,
        why_not={**NO_EVENTS, "units": "its numbers are counts of the converter, whose size is the hardware's"},
    ),
    FormatCase(
        "BrainFlow",
        "brainflow",
        truth("Fp1 Fp2 C3 C4 P7 P8 O1 O2", 250.0),
        write_brainflow,
        BY_HAND,
        0.005,
        options={"board": "cyton"},
        why_not=NO_RATE,
    ),
    FormatCase(
        "Unicorn",
        "unicorn",
        truth("Fz C3 Cz C4 Pz PO7 Oz PO8", 250.0),
        write_unicorn,
        BY_HAND,
        0.001,
        why_not={"rate": "it states no rate and has no timestamps", **NO_EVENTS},
    ),
    FormatCase(
        "ARFF (EEG Eye State)",
        "arff",
        truth(EPOC, 128.0, labels=("1",)),
        write_arff,
        BY_HAND,
        0.001,
        why_not={"rate": "it states no rate and has no timestamps"},
        real={"eeg_formats/emotiv/EEG_Eye_State.arff.gz": {}},
    ),
)
