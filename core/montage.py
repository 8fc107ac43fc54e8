"""Channel names, their places on the head, and mapping a recording's channels to those an encoder wants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


MONTAGES: dict[str, tuple[str, ...]] = {
    "epoc-14": _names("AF3 F7 F3 FC5 T7 P7 O1 O2 P8 T8 FC6 F4 F8 AF4"),
    "insight-5": _names("AF3 T7 Pz T8 AF4"),
    "muse-4": _names("TP9 AF7 AF8 TP10"),
    # the default of Emotiv's set-up for Flex, in the order of its files
    "flex-32": _names(
        "Cz Fz Fp1 F7 F3 FC1 C3 FC5 FT9 T7 CP5 CP1 P3 P7 PO9 O1 Pz Oz O2 PO10 P8 P4 CP2 CP6 T8 FT10 FC6 C4 FC2 F4 F8 "
        "Fp2"
    ),
    # OpenBCI's Ultracortex Mark IV as it is delivered: Cyton, then Daisy
    "openbci-8": _names("Fp1 Fp2 C3 C4 P7 P8 O1 O2"),
    "openbci-16": _names("Fp1 Fp2 C3 C4 P7 P8 O1 O2 F7 F8 F3 F4 T7 T8 P3 P4"),
    "unicorn-8": _names("Fz C3 Cz C4 Pz PO7 Oz PO8"),
    "brainbit-4": _names("T7 T8 O1 O2"),
    "10-20-17": _names("F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 O2"),
    "10-20-32": _names(
        "Fp1 Fp2 F7 F3 Fz F4 F8 FT9 FC5 FC1 FC2 FC6 FT10 T7 C3 Cz C4 T8 TP9 CP5 CP1 CP2 CP6 TP10 P7 P3 Pz P4 P8 "
        "O1 Oz O2"
    ),
    "things-17": _names("P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2"),
    "things-63": _names(
        "Fp1 Fp2 AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 F2 F4 F6 F8 FT9 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 FT10 T7 C5 C3 C1 "
        "Cz C2 C4 C6 T8 TP9 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 TP10 P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 "
        "O1 Oz O2"
    ),
    # actiCAP's 128 places, in the order of the PeRCeiVe data set's rows (their authors, eeg_visual_classification #4).
    "10-05-128": _names(
        "Fp1 Fp2 F7 F3 Fz F4 F8 FC5 FC1 FC2 FC6 T7 C3 Cz C4 T8 TP9 CP5 CP1 CP2 CP6 TP10 P7 P3 Pz P4 P8 PO9 O1 Oz O2 "
        "PO10 AF7 AF3 AF4 AF8 F5 F1 F2 F6 FT9 FT7 FC3 FC4 FT8 FT10 C5 C1 C2 C6 TP7 CP3 CPz CP4 TP8 P5 P1 P2 P6 PO7 "
        "PO3 POz PO4 PO8 Fpz F9 AFF5h AFF1h AFF2h AFF6h F10 FTT9h FTT7h FCC5h FCC3h FCC1h FCC2h FCC4h FCC6h FTT8h "
        "FTT10h TPP9h TPP7h CPP5h CPP3h CPP1h CPP2h CPP4h CPP6h TPP8h TPP10h POO9h POO1 POO2 POO10h Iz AFp1 AFp2 "
        "FFT9h FFT7h FFC5h FFC3h FFC1h FFC2h FFC4h FFC6h FFT8h FFT10h TTP7h CCP5h CCP3h CCP1h CCP2h CCP4h CCP6h "
        "TTP8h P9 PPO9h PPO5h PPO1h PPO2h PPO6h PPO10h P10 I1 OI1h OI2h I2"
    ),
}

_OLD_NAMES = {"t3": "T7", "t4": "T8", "t5": "P7", "t6": "P8"}
# "EEG Fp1", "POL Fp1", "RAW_TP9", "Ch1: Fp1", "01-Fp1"
_PREFIX = re.compile(
    r"^(?:(?:eeg|pol|raw|electrode|signal)[ ._:-]+|(?:ch(?:an(?:nel)?)?[ ._-]*)?\d{1,3}[ ._:-]+(?=[a-z]))+",
    re.IGNORECASE,
)
_JOINED = re.compile(r"^eeg(?=[a-z])", re.IGNORECASE)
# what it was measured against, or in: "-REF", "-LE", "-A1A2", "-(M1+M2)", " (uV)", "_EEG"
_SUFFIX = re.compile(
    r"[-_ ./:](?:ref\d*|le|re|a1|a2|m1|m2|\(?(?:a1[+/ ]?a2|m1[+/ ]?m2)\)?(?:/2)?|ar|avg|ave|average|av|car|cle|org|gnd"
    r"|linked|eeg|[\[(]?[num\u00b5\u03bc]?v[\])]?)$|[\[(][num\u00b5\u03bc]?v[\])]$",
    re.IGNORECASE,
)
_COUNTER = re.compile(r"-\d+$")


@dataclass(frozen=True, eq=False)
class ChannelMap:
    """How target channels come from a recording's: `matrix` float32 (n_target, n_source), and what was done.

    `matched` and `interpolated` are target names, `unused` are source names that serve neither.
    """

    matrix: np.ndarray
    matched: tuple[str, ...]
    interpolated: tuple[str, ...]
    unused: tuple[str, ...]


@lru_cache(maxsize=1)
def _standard() -> tuple[dict[str, np.ndarray], dict[str, str], np.ndarray]:
    """Return positions by name, names by their lower case, and the centre of the sphere that fits them."""
    import mne

    # MNE 1.14 calls standard_1005 colin27_1005
    renamed = "colin27_1005" in mne.channels.get_builtin_montages()
    montage = mne.channels.make_standard_montage("colin27_1005" if renamed else "standard_1005")
    to_head = mne.channels.compute_native_head_t(montage)
    places = montage.get_positions()["ch_pos"]
    positions = {name: mne.transforms.apply_trans(to_head, place) for name, place in places.items()}
    spelling = {name.lower(): name for name in positions}
    spelling.update(_OLD_NAMES)
    points = np.array(list(positions.values()))
    # |p|^2 = 2 p.c + (r^2 - |c|^2) is linear in the centre c
    solved = np.linalg.lstsq(np.c_[2 * points, np.ones(len(points))], (points**2).sum(axis=1), rcond=None)[0]
    return positions, spelling, solved[:3]


@lru_cache(maxsize=8192)
def normalise_name(name: str) -> str:
    """Return the 10-05 spelling of a channel name ("EEG FP1-REF" is "Fp1", "T3" is "T7"); others come back trimmed."""
    spelling = _standard()[1]
    bare = _unquoted(name.strip())
    bare = _PREFIX.sub("", bare).strip(" .")
    uncounted = _COUNTER.sub("", bare)
    spellings = [bare, _SUFFIX.sub("", bare), _SUFFIX.sub("", uncounted), uncounted]
    for text in [*spellings, *(_JOINED.sub("", text) for text in spellings)]:
        if found := spelling.get(text.strip(" .").lower()):
            return found
    return name.strip()


def _unquoted(name: str) -> str:
    pairs = ('""', "''", "[]", "()")
    return name[1:-1].strip() if len(name) > 2 and name[0] + name[-1] in pairs else name


def is_eeg_name(name: str) -> bool:
    """Say whether a channel name is a place of the 10-05 system, in any common spelling."""
    return normalise_name(name) in _standard()[0]


def standard_positions(names: Sequence[str]) -> np.ndarray:
    """Return (n, 3) positions in metres (head frame, mne's standard_1005), NaN where a name is unknown."""
    positions = _standard()[0]
    unknown = np.full(3, np.nan)
    return np.array([positions.get(normalise_name(name), unknown) for name in names], dtype=np.float64).reshape(-1, 3)


def spherical_splines(
    sources: np.ndarray, targets: np.ndarray, *, origin: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0)
) -> np.ndarray:
    """Return the matrix (n_targets, n_sources) that interpolates potentials by spherical splines of order 4.

    Positions (n, 3) are projected to the unit sphere about `origin`. Perrin, Pernier, Bertrand & Echallier 1989,
    Electroencephalography and Clinical Neurophysiology 72:184; 50 Legendre terms, 1e-5 on the diagonal, as MNE has it.
    """
    sources, targets = (np.asarray(p, dtype=np.float64) - np.asarray(origin) for p in (sources, targets))
    sources = sources / np.linalg.norm(sources, axis=1, keepdims=True)
    targets = targets / np.linalg.norm(targets, axis=1, keepdims=True)
    n = np.arange(1, 51, dtype=np.float64)
    terms = np.concatenate([[0.0], (2 * n + 1) / (n**4 * (n + 1) ** 4 * 4 * np.pi)])

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.polynomial.legendre.legval(np.clip(a @ b.T, -1.0, 1.0), terms)

    count = len(sources)
    system = np.ones((count + 1, count + 1))
    system[:count, :count] = kernel(sources, sources) + 1e-5 * np.eye(count)
    system[count, count] = 0.0
    inverse = np.linalg.pinv(system)
    return np.c_[kernel(targets, sources), np.ones(len(targets))] @ inverse[:, :count]


def map_channels(
    source_names: Sequence[str],
    target_names: Sequence[str],
    source_positions: np.ndarray | None = None,
    target_positions: np.ndarray | None = None,
    *,
    min_matched: float = 0.5,
) -> ChannelMap:
    """Match channels by name and interpolate missing ones by spherical splines (Perrin et al. 1989).

    Names count in any common spelling. Interpolation uses every source channel whose place is known, by its name or,
    for names outside the 10-05 system, by `source_positions` (n_source, 3); so for targets. Raises ValueError that
    lists what is there and what is missing, where fewer than `min_matched` of the targets are matched or a missing
    one has no known place. Repeated calls cost microseconds.
    """
    return _map_channels(
        tuple(source_names),
        tuple(target_names),
        None if source_positions is None else np.asarray(source_positions, dtype=np.float64).tobytes(),
        None if target_positions is None else np.asarray(target_positions, dtype=np.float64).tobytes(),
        min_matched,
    )


@lru_cache(maxsize=64)
def _map_channels(
    source_names: tuple[str, ...],
    target_names: tuple[str, ...],
    source_bytes: bytes | None,
    target_bytes: bytes | None,
    min_matched: float,
) -> ChannelMap:
    exact = {name: i for i, name in enumerate(source_names)}
    index: dict[str, int] = {}
    for i, name in enumerate(source_names):
        index.setdefault(normalise_name(name), i)
    rows = [exact.get(name, index.get(normalise_name(name))) for name in target_names]
    matched = tuple(name for name, row in zip(target_names, rows, strict=True) if row is not None)
    missing = tuple(name for name, row in zip(target_names, rows, strict=True) if row is None)
    if len(matched) < min_matched * len(target_names) or not matched:
        raise ValueError(
            f"{len(matched)} of the {len(target_names)} channels that are needed are in the recording, and at least "
            f"{min_matched:.0%} must be. Recording: {', '.join(source_names)}. Missing: {', '.join(missing)}"
        )
    matrix = np.zeros((len(target_names), len(source_names)))
    for i, row in enumerate(rows):
        if row is not None:
            matrix[i, row] = 1.0
    used = {row for row in rows if row is not None}
    if missing:
        used |= _interpolate(matrix, rows, source_names, target_names, source_bytes, target_bytes)
    unused = tuple(name for i, name in enumerate(source_names) if i not in used)
    matrix = matrix.astype(np.float32)
    matrix.flags.writeable = False  # it is shared by all who ask
    return ChannelMap(matrix, matched, missing, unused)


def _interpolate(
    matrix: np.ndarray,
    rows: list[int | None],
    source_names: tuple[str, ...],
    target_names: tuple[str, ...],
    source_bytes: bytes | None,
    target_bytes: bytes | None,
) -> set[int]:
    """Fill the rows of unmatched targets; return the source channels that were used for it."""
    sources, targets = _places(source_names, source_bytes), _places(target_names, target_bytes)
    wanted = [i for i, row in enumerate(rows) if row is None]
    if lost := [target_names[i] for i in wanted if not np.isfinite(targets[i]).all()]:
        raise ValueError(
            f"missing channels {', '.join(lost)} cannot be interpolated: their places on the head are not known. "
            f"The recording has {', '.join(source_names)}"
        )
    known: list[int] = []
    for i in np.flatnonzero(np.isfinite(sources).all(axis=1)):
        # two channels at one place (T3 beside T7) would count it twice
        if all(np.linalg.norm(sources[i] - sources[j]) > 1e-6 for j in known):
            known.append(int(i))
    if not known:
        raise ValueError(
            f"missing channels {', '.join(target_names[i] for i in wanted)} cannot be interpolated: no channel of the "
            f"recording has a known place ({', '.join(source_names)})"
        )
    matrix[np.ix_(wanted, known)] = spherical_splines(sources[known], targets[wanted], origin=_standard()[2])
    return set(known)


def _places(names: tuple[str, ...], given: bytes | None) -> np.ndarray:
    places = standard_positions(names)
    if given is not None:
        own = np.frombuffer(given, dtype=np.float64).reshape(len(names), 3)
        places = np.where(np.isfinite(places).all(axis=1, keepdims=True), places, own)
    return places
