"""The pack's own socket types, the menu its nodes stand in, and inputs that several nodes have."""

from typing import Any

from comfy_api.v0_0_2 import io

from ...core.choices import MAX_STRENGTH

CATEGORY = "EEG"
EegRecording = io.Custom("EEG_RECORDING")  # carries core's Recording
EegWindows = io.Custom("EEG_WINDOWS")  # carries core's Selection
EegEncoder = io.Custom("EEG_ENCODER")  # carries core's EegEncoder
Embeds = io.Custom("EMBEDS")  # a plain tensor (batch, width), as IP-Adapter's nodes take it


def strength_and_spread() -> list[Any]:
    """Return the two inputs that say how much is made of what was decoded."""
    return [
        io.Float.Input(
            "strength",
            default=1.0,
            min=0.0,
            max=MAX_STRENGTH,
            step=0.05,
            display_mode=io.NumberDisplay.slider,
            tooltip="0: nothing of the EEG, only the training mean; 1: as decoded; above: exaggerated.",
        ),
        io.Float.Input(
            "spread",
            optional=True,
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.05,
            display_mode=io.NumberDisplay.slider,
            advanced=True,
            tooltip="Restores the spread that regression takes: 0 as predicted, 1 as wide as the targets.",
        ),
    ]
