"""Constant offsets of channels: headsets write EEG on top of millivolts, which say nothing and are taken off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...formats.contract.signals import Signals
from ...recording import Recording

# amplifiers coupled to alternating voltage rest within this; direct ones at millivolts
MOST_OFFSET_UV = 200.0
_MOST_SAMPLES = 10_000


def take_offsets(signals: Signals) -> dict[str, float]:
    """Take its median off every channel where that is more than 200 uV, in place; return the values in uV by channel.

    `signals.data` is in volts. The median of a long recording is that of 10,000 samples spread over it.
    """
    step = max(1, -(-signals.data.shape[1] // _MOST_SAMPLES))
    with np.errstate(over="ignore", invalid="ignore"):
        medians = np.median(signals.data[:, ::step], axis=1) * 1e6
        found = {}
        for name, row, median in zip(signals.ch_names, signals.data, medians.tolist(), strict=True):
            # what is no number or beyond any amplifier is for the gate to speak of
            if MOST_OFFSET_UV < abs(median) < 1e9:
                found[name] = float(f"{median:.6g}")
                row -= found[name] * 1e-6
    return found


def put_back(recording: Recording) -> Recording:
    """Return a recording with the offsets that were taken off on reading, for what was made with them."""
    offsets = recording.source.get("offsets_uv", {})
    constants = np.array([offsets.get(name, 0.0) for name in recording.ch_names]) * 1e-6
    source = {**recording.source, "offsets_uv": {}}
    return replace(recording, data=recording.data + constants[:, None].astype(np.float32), source=source)
