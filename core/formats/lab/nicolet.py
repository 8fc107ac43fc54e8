"""Nicolet recordings as the EPILEPSIAE project stores them: a .head of text, a .data of 16-bit numbers."""

from __future__ import annotations

import math
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..containers.companions import same_name, under_names
from ..containers.mne_raw import load_samples, read_quietly, signals_from_raw
from ..containers.truncated import cut_off
from ..contract.signals import Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES


def read_nicolet(path: Path, options: ReadOptions) -> Signals:
    """Read a recording by its .head or its .data; the other must lie beside it. There are no events in this form.

    Raises FileNotFoundError where one of the two is missing and ValueError where the header is none.
    """
    import mne

    is_head = path.suffix.lower() == ".head" or (path.suffix.lower() != ".data" and _starts_as_head(path))
    other = same_name(path.with_suffix(".data" if is_head else ".head"))
    if other is None:
        raise FileNotFoundError(
            f"{path}: a Nicolet recording is two files, and {path.stem}{'.data' if is_head else '.head'} is missing "
            "beside it (renamed?)"
        )
    head, data = (path, other) if is_head else (other, path)
    n_channels, n_samples, rate, lasting = _stated(head)
    n_whole = data.stat().st_size // (2 * n_channels)
    if n_whole == 0:
        raise ValueError(f"{path}: {data.name} is cut off: it holds no sample of {n_channels} channels")
    notes = [cut_off(n_whole, n_samples, "samples", 1 / rate)] if n_whole < n_samples else []

    def once() -> Any:
        with ExitStack() as stack:
            files: dict[str, Path | bytes] = {"recording.data": data, "recording.head": head}
            named = stack.enter_context(under_names(files)) / "recording.data"
            with mne.utils.use_log_level("WARNING"):  # its header is read before `verbose` counts
                raw = mne.io.read_raw_nicolet(named, ch_type="eeg", verbose="WARNING")
            if n_whole < n_samples:
                raw.crop(tmax=(n_whole - 1) / raw.info["sfreq"])
            return load_samples(path, raw)

    raw, warned = read_quietly(path, "Nicolet", once)
    signals = signals_from_raw(raw, [*notes, *warned])
    signals.units = ["uV" if kind == "eeg" else None for kind in signals.ch_types]
    signals.companions = (other,)
    # whole seconds tell a rate to a percent from some minutes on, where rounding is no excuse
    if lasting > 0 and abs(n_samples / rate - lasting) > 1:
        signals.rates_told["duration_in_sec"] = n_samples / lasting
    return signals


def _stated(head: Path) -> tuple[int, int, float, float]:
    """Return a .head's numbers of channels and samples, its rate and how long (s, 0 unknown) it says that it lasts.

    Raises ValueError that says what is wrong with them.
    """
    text = head.read_bytes()[: 1 << 20].decode("latin-1")
    entries = dict(re.findall(r"(?m)^\s*(\w+)\s*=\s*(.*?)\s*$", text))
    if missing := [
        name for name in ("num_channels", "num_samples", "sample_freq", "conversion_factor", "elec_names", "start_ts")
        if name not in entries
    ]:  # fmt: skip
        raise ValueError(f"{head}: not a whole Nicolet header: without {', '.join(missing)}")
    try:
        n_channels, n_samples, rate = (
            int(entries["num_channels"]), int(entries["num_samples"]), float(entries["sample_freq"])
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{head}: its header holds text where a number belongs: {error}") from error
    names = entries["elec_names"].strip("[]").split(",")
    if (
        not 0 < n_channels <= 4096
        or n_samples <= 0
        or not (math.isfinite(rate) and rate > 0)
        or len(names) != n_channels
    ):
        raise ValueError(
            f"{head}: its header claims {n_channels} channels ({len(names)} names), {n_samples} samples at {rate} Hz"
        )
    told = entries.get("duration_in_sec", "")
    return n_channels, n_samples, rate, float(told) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", told) else 0.0


def _starts_as_head(path: Path) -> bool:
    with open(path, "rb") as file:
        return _is_text(file.read(4096))


def _is_text(start: bytes) -> bool:
    return b"elec_names=" in start and b"num_channels=" in start and b"\x00" not in start


READER = Reader(
    "nicolet",
    SUFFIXES["nicolet"],
    read_nicolet,
    "Nicolet (.head with .data beside it)",
    lambda head: _is_text(head.start[:4096]),
    "Nicolet (elec_names= and num_channels= in its .head)",
)
