"""BrainFlow's CSV: tab-separated rows of all of a board's numbers, without a header; which board must be said.

Rows and rates of each board: brainflow_boards.cpp of brainflow-dev/brainflow (board descriptors, default preset).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..containers.sample_counter import lost_by_counter
from ..containers.text_table import delimiter_of, first_lines, read_text_table
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS


@dataclass(frozen=True)
class Board:
    """A board's rows: how many, which hold package number, time, marker, and where its EEG rows begin and are named."""

    name: str
    sfreq: float
    n_rows: int
    package: int
    timestamp: int
    marker: int
    first_eeg: int
    n_eeg: int
    places: str = ""

    @property
    def ch_names(self) -> list[str]:
        """Names of the EEG rows: the places that BrainFlow gives, else numbers."""
        return self.places.split() or [f"EXG Channel {i}" for i in range(self.n_eeg)]


# boards without EEG rows (Callibri EMG and ECG, gForce, EmotiBit, Shimmer) are left out
BOARDS = {
    -1: Board("SYNTHETIC", 250, 32, 0, 30, 31, 1, 16, "Fz C3 Cz C4 Pz PO7 Oz PO8 F5 F7 F3 F1 F2 F4 F6 F8"),
    0: Board("CYTON", 250, 24, 0, 22, 23, 1, 8, "Fp1 Fp2 C3 C4 P7 P8 O1 O2"),
    1: Board("GANGLION", 200, 15, 0, 13, 14, 1, 4),
    2: Board("CYTON_DAISY", 125, 32, 0, 30, 31, 1, 16, "Fp1 Fp2 C3 C4 P7 P8 O1 O2 F7 F8 F3 F4 T7 T8 P3 P4"),
    3: Board("GALEA", 250, 29, 0, 27, 28, 9, 16, "F1 F2 C3 C4 P3 P4 O1 O2 Cz Pz X1 X2 X3 X4 X5 X6"),
    4: Board("GANGLION_WIFI", 1600, 25, 0, 23, 24, 1, 4),
    5: Board("CYTON_WIFI", 1000, 24, 0, 22, 23, 1, 8),
    6: Board("CYTON_DAISY_WIFI", 1000, 32, 0, 30, 31, 1, 16),
    7: Board("BRAINBIT", 250, 12, 0, 10, 11, 1, 4, "T3 T4 O1 O2"),
    8: Board("UNICORN", 250, 19, 15, 17, 18, 0, 8, "Fz C3 Cz C4 Pz PO7 Oz PO8"),
    9: Board("CALLIBRI_EEG", 250, 4, 0, 2, 3, 1, 1),
    13: Board("NOTION_1", 250, 12, 0, 10, 11, 1, 8, "CP6 F6 C4 CP4 CP3 F5 C3 CP5"),
    14: Board("NOTION_2", 250, 12, 0, 10, 11, 1, 8, "CP5 F5 C3 CP3 CP6 F6 C4 CP4"),
    17: Board("FREEEEG32", 512, 35, 0, 33, 34, 1, 32),
    18: Board("BRAINBIT_BLED", 250, 8, 0, 6, 7, 1, 4, "T3 T4 O1 O2"),
    21: Board("MUSE_S_BLED", 256, 8, 0, 6, 7, 1, 4, "TP9 AF7 AF8 TP10"),
    22: Board("MUSE_2_BLED", 256, 8, 0, 6, 7, 1, 4, "TP9 AF7 AF8 TP10"),
    23: Board("CROWN", 256, 12, 0, 10, 11, 1, 8, "CP3 C3 F5 PO3 PO4 F6 C4 CP4"),
    25: Board("ANT_NEURO_EE_411", 2000, 14, 0, 12, 13, 1, 8),
    26: Board("ANT_NEURO_EE_430", 512, 14, 0, 12, 13, 1, 8),
    27: Board("ANT_NEURO_EE_211", 2000, 70, 0, 68, 69, 1, 64),
    28: Board("ANT_NEURO_EE_212", 2000, 38, 0, 36, 37, 1, 32),
    29: Board("ANT_NEURO_EE_213", 2000, 22, 0, 20, 21, 1, 16),
    30: Board("ANT_NEURO_EE_214", 2000, 62, 0, 60, 61, 1, 32),
    31: Board("ANT_NEURO_EE_215", 2000, 94, 0, 92, 93, 1, 64),
    32: Board("ANT_NEURO_EE_221", 16000, 22, 0, 20, 21, 1, 16),
    33: Board("ANT_NEURO_EE_222", 16000, 38, 0, 36, 37, 1, 32),
    34: Board("ANT_NEURO_EE_223", 16000, 62, 0, 60, 61, 1, 32),
    35: Board("ANT_NEURO_EE_224", 16000, 70, 0, 68, 69, 1, 64),
    36: Board("ANT_NEURO_EE_225", 16000, 94, 0, 92, 93, 1, 64),
    37: Board("ENOPHONE", 250, 7, 0, 5, 6, 1, 4, "A2 A1 C4 C3"),
    38: Board("MUSE_2", 256, 8, 0, 6, 7, 1, 4, "TP9 AF7 AF8 TP10"),
    39: Board("MUSE_S", 256, 8, 0, 6, 7, 1, 4, "TP9 AF7 AF8 TP10"),
    40: Board("BRAINALIVE", 250, 17, 0, 16, 15, 1, 8, "F7 FT7 T7 CP5 CZ C6 FC6 F4"),
    41: Board("MUSE_2016", 256, 7, 0, 5, 6, 1, 4, "TP9 AF7 AF8 TP10"),
    42: Board("MUSE_2016_BLED", 256, 7, 0, 5, 6, 1, 4, "TP9 AF7 AF8 TP10"),
    44: Board("EXPLORE_4_CHAN", 250, 8, 0, 6, 7, 1, 4),
    45: Board("EXPLORE_8_CHAN", 250, 12, 0, 10, 11, 1, 8),
    46: Board("GANGLION_NATIVE", 200, 15, 0, 13, 14, 1, 4),
    50: Board("NTL_WIFI", 250, 25, 0, 23, 24, 1, 8, "Fp1 Fp2 C3 C4 P7 P8 O1 O2"),
    51: Board("ANT_NEURO_EE_511", 4096, 34, 0, 32, 33, 1, 24),
    52: Board("FREEEEG128", 256, 131, 0, 129, 130, 1, 128),
    53: Board("AAVAA_V3", 50, 17, 0, 15, 16, 1, 8, "L1 L2 L3 L4 R1 R2 R3 R4"),
    54: Board("EXPLORE_PLUS_8_CHAN", 250, 12, 0, 10, 11, 1, 8),
    55: Board("EXPLORE_PLUS_32_CHAN", 250, 36, 0, 34, 35, 1, 32),
    56: Board("PIEEG", 250, 11, 0, 9, 10, 1, 8, "Fp1 Fp2 C3 C4 P7 P8 O1 O2"),
    57: Board("NEUROPAWN_KNIGHT", 125, 13, 0, 11, 12, 1, 8),
    58: Board("SYNCHRONI_TRIO_3_CHANNELS", 250, 6, 0, 4, 5, 1, 2),
    59: Board("SYNCHRONI_OCTO_8_CHANNELS", 250, 11, 0, 9, 10, 1, 7),
    60: Board("OB5000_8_CHANNELS", 250, 11, 0, 9, 10, 1, 8),
    61: Board("SYNCHRONI_NEO_8_CHANNELS", 250, 11, 0, 9, 10, 1, 8),
    62: Board("SYNCHRONI_UNO_1_CHANNELS", 250, 4, 0, 2, 3, 1, 1),
    63: Board("OB3000_24_CHANNELS", 500, 27, 0, 25, 26, 1, 23),
    64: Board("BIOLISTENER", 500, 13, 0, 11, 12, 1, 8),
    65: Board("IRONBCI_32", 512, 35, 0, 33, 34, 1, 32),
    66: Board("NEUROPAWN_KNIGHT_IMU", 125, 22, 0, 20, 21, 1, 8),
    67: Board("MUSE_S_ATHENA", 256, 11, 0, 9, 10, 1, 4, "TP9 AF7 AF8 TP10"),
}
# electrodes of these sit where the user puts them: their names are only BrainFlow's defaults
_FREE = ("CYTON", "CYTON_DAISY", "NTL_WIFI", "PIEEG")


def read_brainflow(path: Path, options: ReadOptions) -> Signals:
    """Read the EEG rows of a board in microvolts, its markers, its timestamps and what its package numbers say is lost.

    Raises ValueError that lists the boards of as many columns where no board, or one of other columns, is given.
    """
    line = (first_lines(path, 1) or [""])[0]
    delimiter = delimiter_of(line) if "\t" not in line else "\t"
    n_columns = len(line.rstrip().split(delimiter))
    number, board = _board(path, options.board, n_columns)
    eeg = list(range(board.first_eeg, board.first_eeg + board.n_eeg))
    table = read_text_table(
        path, delimiter=delimiter, skip=0, numbers=[*eeg, board.marker], exact=[board.package, board.timestamp]
    )
    package, stamps = table.exact
    for row in table.numbers[:-1]:
        row *= VOLTS["uV"]
    middle = float(np.median(stamps[np.isfinite(stamps)])) if np.isfinite(stamps).any() else np.nan
    if not 1e8 < middle < 1e11:
        raise ValueError(
            f"{path}: column {board.timestamp + 1} of a {board.name} (board {number}) holds UNIX time, here "
            f"{middle:g}: another board? {_fitting(n_columns)}"
        )
    notes = table.remarks()
    if board.name in _FREE:
        notes.append(
            f"places are BrainFlow's defaults for {board.name}; if your electrodes sit elsewhere, say channels="
        )
    lost = lost_by_counter(package)
    return Signals(
        data=table.numbers,
        sfreq=board.sfreq,
        sfreq_said="documented",
        stamps=stamps,
        lost=None if lost is None else lost[0],
        ch_names=[*board.ch_names, "marker"],
        ch_types=["eeg"] * board.n_eeg + ["marker"],
        units=["uV"] * board.n_eeg + [None],
        units_said="assumed",
        units_why=f"BrainFlow writes uV, board {board.name}",
        dropped={"package number, timestamp and other rows": "bookkeeping"},
        notes=notes,
    )


def _board(path: Path, given: str | None, n_columns: int) -> tuple[int, Board]:
    if given is None:
        raise ValueError(
            f"{path}: BrainFlow's files do not say which board wrote them: say it with board= (--board), by its name "
            f"or number. {_fitting(n_columns)}"
        )
    wanted = re.sub(r"[^a-z0-9-]", "", given.lower()).removesuffix("board")
    for number, board in BOARDS.items():
        if wanted in (str(number), board.name.replace("_", "").lower()):
            if board.n_rows != n_columns:
                raise ValueError(
                    f"{path}: a {board.name} (board {number}) writes {board.n_rows} columns, this file has "
                    f"{n_columns}. {_fitting(n_columns)}"
                )
            return number, board
    raise ValueError(
        f"{path}: board={given!r} (--board) is no board with EEG; known are BrainFlow's BoardIds by name (cyton, "
        f"muse_2) or number. {_fitting(n_columns)}"
    )


def _fitting(n_columns: int) -> str:
    found = [f"{number} {board.name}" for number, board in BOARDS.items() if board.n_rows == n_columns]
    listed = ", ".join(found)
    return f"Boards of {n_columns} columns: {listed}" if found else f"No board that is known has {n_columns} columns"


def _is_brainflow(head: Head) -> bool:
    lines = [line for line in head.lines(4) if line.strip()]
    if not lines or lines[0].count("\t") < 3:
        return False
    try:
        rows = [[float(cell) for cell in line.split("\t")] for line in lines[:-1] or lines]
    except ValueError:
        return False
    # a column of UNIX time, between 2001 and 2065
    return any(len({len(row) for row in rows}) == 1 and 1e9 < value < 3e9 for value in rows[0][2:])


READER = Reader(
    "brainflow",
    SUFFIXES["brainflow"],
    read_brainflow,
    "BrainFlow CSV (its board must be said)",
    _is_brainflow,
    "BrainFlow (tab-separated numbers with UNIX time, no header)",
)
