"""The pack's own socket types and the menu its nodes stand in."""

from comfy_api.v0_0_2 import io

CATEGORY = "EEG"
EegRecording = io.Custom("EEG_RECORDING")  # carries core's Recording
EegWindows = io.Custom("EEG_WINDOWS")  # carries core's Selection
EegEncoder = io.Custom("EEG_ENCODER")  # carries core's EegEncoder
Embeds = io.Custom("EMBEDS")  # a plain tensor (batch, width), as IP-Adapter's nodes take it
