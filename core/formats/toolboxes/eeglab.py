"""EEGLAB .set files, continuous or epoched, of MATLAB 5 or 7.3, with or without an .fdt beside them."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ...missing_package import install_hint
from ..containers.companions import bare_name, same_name, under_names, with_suffix_of
from ..containers.mne_raw import load_samples, read_quietly, signals_from_epochs, signals_from_raw
from ..containers.truncated import cut_off, without
from ..contract.clock import MOST_OFF, rate_of_steps
from ..contract.signals import Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from .eeglab_events import events_of_epochs
from .mat_outline import Outline, is_eeglab, outline_of


def read_eeglab(path: Path, options: ReadOptions) -> Signals:
    """Read a .set file. EEGLAB stores no unit and means microvolts: so does MNE, and `units` says it was assumed.

    Samples in an .fdt whose name has changed are found where there is no doubt which file it is. Raises ValueError or
    FileNotFoundError saying what is missing, cut off, or no EEGLAB file. An .fdt stands for the .set beside it.
    """
    notes: list[str] = []
    given = path
    if path.suffix.lower() == ".fdt":
        path = _set_of(path)
        notes.append(f"it holds numbers only; its description is {path.name}, beside it")
    outline = _outline(path)
    n_whole, data_file = None, None
    if outline.data_file:
        data_file = _data_file(path, outline, notes)
        n_whole = _whole_samples(path, outline, data_file, notes)
    epoched = outline.trials > 1
    (found, warned) = _through_mne(path, outline, data_file, n_whole, epoched)
    notes += without(warned, "EEG.data", "indicating data discontinuities", "epoch has multiple events")
    signals = signals_from_epochs(found, notes) if epoched else signals_from_raw(found, notes)
    if epoched:
        n_times, hdf5 = signals.data.shape[1], outline.is_hdf5
        every = events_of_epochs(path, is_hdf5=hdf5, sfreq=signals.sfreq, n_times=n_times)
        signals.events = signals.events if every is None else every
    _tell_rates(signals, outline)
    signals.units = ["uV" if kind == "eeg" else None for kind in signals.ch_types]
    signals.units_said, signals.units_why = "assumed", "EEGLAB writes no unit and means uV"
    signals.companions = tuple(file for file in (path, data_file) if file is not None and file != given)
    return signals


def _set_of(path: Path) -> Path:
    """Return the .set of an .fdt; FileNotFoundError that says why the one is of no use without the other."""
    found = same_name(path.with_suffix(".set"))
    if found is None:
        there = ", ".join(other.name for other in with_suffix_of(path.parent, (".set",))[:6])
        raise FileNotFoundError(
            f"{path}: the samples of an EEGLAB recording, whose rate and channels are in a .set file: {path.stem}.set "
            f"is missing beside it ({f'there is {there}' if there else 'there is none'}); give the .set"
        )
    return found


def _tell_rates(signals: Signals, outline: Outline) -> None:
    """Hold the rate against the axis of times, which EEGLAB writes in ms, and note a stated length that it denies."""
    rate = rate_of_steps(outline.step, signals.sfreq)
    if math.isfinite(rate):
        signals.rates_told["EEG.times"] = rate
    elif outline.lasting_s > 0 and abs(outline.lasting_s * signals.sfreq / outline.n_times - 1) > MOST_OFF:
        signals.notes.append(
            f"its xmin and xmax tell of {outline.lasting_s:.4g} s, its {outline.n_times} samples last "
            f"{outline.n_times / signals.sfreq:.4g} s at {signals.sfreq:g} Hz: is the rate right?"
        )


def _through_mne(
    path: Path, outline: Outline, data_file: Path | None, n_whole: int | None, epoched: bool
) -> tuple[Any, list[str]]:
    """Return MNE's raw or epochs object and its warnings; a renamed .fdt is linked to the name that MNE looks for."""
    import mne

    def once() -> Any:
        with ExitStack() as stack:
            named = path
            plain = data_file is None or data_file.name == outline.data_file
            if path.suffix != ".set" or not plain:
                files: dict[str, Path | bytes] = {"recording.set": path}
                if data_file is not None:
                    # MNE looks for the name in the file, then for the .set file's own: one link serves both
                    files["recording.fdt"] = data_file
                named = stack.enter_context(under_names(files)) / "recording.set"
            if epoched:
                return mne.io.read_epochs_eeglab(named, verbose="WARNING")
            # numbers inside the .set file are read once: MNE would read them twice to be lazy
            raw = mne.io.read_raw_eeglab(named, preload=data_file is None, verbose="WARNING")
            if n_whole is not None:
                raw.crop(tmax=(n_whole - 1) / raw.info["sfreq"])
            return load_samples(path, raw)

    return read_quietly(path, "EEGLAB", once)


def _outline(path: Path) -> Outline:
    with open(path, "rb") as file:
        magic = file.read(128)
    # MATLAB 5 says so in text, 7.3 is HDF5 behind such a text, 4 starts with a small little-endian type code
    if not (magic.startswith((b"MATLAB", b"\x89HDF")) or (magic[1:4] == b"\x00\x00\x00" and len(magic) > 20)):
        raise ValueError(f"{path}: not an EEGLAB file: it is no MATLAB file at all")
    try:
        outline = outline_of(path)
        if outline.is_hdf5:
            import pymatreader  # noqa: F401
    except ModuleNotFoundError as error:
        raise ValueError(f"{path}: an EEGLAB file of MATLAB 7.3 (HDF5): {install_hint(error)}") from error
    return outline


def _data_file(path: Path, outline: Outline, notes: list[str]) -> Path:
    """Return the .fdt that belongs to a .set file: by the name inside, by the .set file's own, or by its exact size."""
    name = bare_name(outline.data_file)
    if name.lower().endswith(".dat"):
        raise ValueError(
            f"{path}: its samples are in {name!r}, EEGLAB's old .dat form; save it again with a current EEGLAB"
        )
    for place in (path.parent / name, path.with_suffix(".fdt")):
        if found := same_name(place):
            if found.name != name:
                notes.append(f"it says that its samples are in {name!r}: {found.name} was read")
            return found
    there = with_suffix_of(path.parent, (".fdt",))
    # its size in bytes is given by three numbers in the .set file, so that another recording's hardly ever fits
    fits = [other for other in there if other.stat().st_size == outline.data_bytes]
    if len(fits) == 1 and not fits[0].with_suffix(".set").exists():
        notes.append(
            f"its samples {name!r} are not there; {fits[0].name} was read, the only .fdt of its size (renamed?)"
        )
        return fits[0]
    found = f"; beside it: {', '.join(other.name for other in there[:6])}" if there else ""
    raise FileNotFoundError(
        f"{path}: its samples are in a second file, {name!r}, which is missing beside it (or {path.stem}.fdt){found}"
    )


def _whole_samples(path: Path, outline: Outline, data_file: Path, notes: list[str]) -> int | None:
    """Return how many samples an .fdt that was cut off still holds, None where it is whole."""
    size, frame = data_file.stat().st_size, 4 * max(outline.n_channels, 1)
    n_whole, promised = size // frame, outline.n_times * outline.trials
    if size >= outline.data_bytes:
        if size > outline.data_bytes:
            notes.append(f"{data_file.name} is {size - outline.data_bytes} bytes longer than the .set file tells of")
        return None
    if outline.trials > 1 or n_whole == 0:
        raise ValueError(
            f"{path}: {data_file.name} is cut off: it holds {size} of {outline.data_bytes} bytes "
            f"({n_whole // max(outline.n_times, 1)} of {outline.trials} epochs)"
        )
    notes.append(cut_off(n_whole, promised, "samples", 1 / outline.sfreq if outline.sfreq > 0 else None))
    return n_whole


READER = Reader(
    "eeglab",
    SUFFIXES["eeglab"],
    read_eeglab,
    "EEGLAB, continuous or epoched",
    is_eeglab,
    "EEGLAB (a MATLAB file with EEG.nbchan, or with srate, nbchan and pnts)",
    # scipy and HDF5 believe the sizes in damaged files, and HDF5 can crash on them
    isolated=True,
)
