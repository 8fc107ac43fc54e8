"""Nodes that read recordings and clean them."""

from typing import Any

from comfy_api.v0_0_2 import io

from ..core.choices import FROM_FILE, UNITS
from . import folders
from .host.messages import readable
from .host.sockets import CATEGORY, EegRecording

BY_CONTENT = "by its content"
# what graphs hold that were saved before files were recognised by content
BY_NAME = "by its name"
NOTCHES = {"off": (), "50 Hz": (50.0, 100.0, 150.0), "60 Hz": (60.0, 120.0, 180.0)}


class LoadRecording(io.ComfyNode):
    """Reads a recording from the host's input folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_LoadRecording",
            display_name="EEG Load Recording",
            category=CATEGORY,
            description="Reads an EEG file (EDF, XDF, BrainVision, EEGLAB, Emotiv, Muse, OpenBCI ...) from the input "
            "folder and says what was read, what was inferred and what was repaired.",
            search_aliases=[
                "eeg",
                "brain",
                "bci",
                "edf",
                "bdf",
                "xdf",
                "muse",
                "emotiv",
                "openbci",
                "load eeg",
                "upload eeg",
            ],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=folders.recording_names(),
                    tooltip="A file in ComfyUI's input folder. Upload one with the button; for BrainVision (.vhdr, "
                    ".eeg, .vmrk) and EEGLAB (.set, .fdt) choose all files of the set at once.",
                    extra_dict={"eeg_upload": True},
                ),
                io.Combo.Input(
                    "units",
                    options=list(UNITS),
                    default=FROM_FILE,
                    optional=True,
                    advanced=True,
                    tooltip="The unit of the file's numbers, where the file does not say it or says it wrongly.",
                ),
                io.Combo.Input(
                    "format",
                    options=[BY_CONTENT, *folders.format_names()],
                    default=BY_CONTENT,
                    optional=True,
                    advanced=True,
                    tooltip="Which reader takes the file, where neither its content nor its name tells.",
                ),
                io.String.Input(
                    "reading",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip="What else the file does not say, as an error asks for it: `sfreq=250; channels=Fp1,Fp2`, "
                    "`board=cyton`, `variable=eeg; axes=times,channels`, `events=1=house,2=face`.",
                ),
            ],
            outputs=[
                EegRecording.Output(display_name="recording"),
                io.String.Output(
                    display_name="description", tooltip="What was read, and what was inferred or repaired."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str, format: str = BY_CONTENT) -> bool | str:  # noqa: A002
        """Return True for a file that lies in the input folder, also one put there after the host started."""
        if format not in (known := [BY_CONTENT, BY_NAME, *folders.format_names()]):
            return f"format {format!r} is not known; it is one of {', '.join(known)}"
        return folders.complaint(folders.recording_path, file)

    @classmethod
    def fingerprint_inputs(cls, file: str, **_: Any) -> str:
        """Return what changes when the content of the file, or of one that belongs to it, does."""
        return folders.content_of(folders.recording_path(file))

    @classmethod
    @readable
    def execute(cls, file: str, units: str = FROM_FILE, format: str = BY_CONTENT, reading: str = "") -> io.NodeOutput:  # noqa: A002
        """Read the file."""
        from ..core.loading.load import load_recording
        from ..core.loading.options import load_options
        from ..core.recording import describe

        path = folders.recording_path(file)
        try:
            told = load_options(None if units == FROM_FILE else units, reading)
            if format not in (BY_CONTENT, BY_NAME):
                told["format"] = format
            recording = load_recording(path, **told)
        except ValueError as error:  # its file is one of the list; where that lies on the server is of no use
            raise ValueError(str(error).replace(str(path), file)) from error
        return io.NodeOutput(recording, describe(recording))


class Preprocess(io.ComfyNode):
    """Cleans a recording for looking at it and for encoders that are made from it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_Preprocess",
            display_name="EEG Preprocess",
            category=CATEGORY,
            description="Repairs bad channels, re-references, filters and resamples a recording. An encoder replays "
            "its own filters anyway: before EEG Encode this node is needed for bad channels only.",
            search_aliases=["eeg filter", "band-pass", "notch", "re-reference", "bad channels"],
            inputs=[
                EegRecording.Input("recording", tooltip="What EEG Load Recording or EEG Phantom gives."),
                io.String.Input(
                    "bad_channels", default="", tooltip="Names of channels that are broken, such as `T7, F8`."
                ),
                io.Combo.Input(
                    "bad_channel_action",
                    options=["interpolate", "drop"],
                    default="interpolate",
                    tooltip="Rebuild bad channels from their neighbours (spherical splines), or leave them out.",
                ),
                io.String.Input(
                    "reference",
                    default="",
                    tooltip="Empty: as recorded. `average`: the mean of all channels. Or names, such as `TP9, TP10`.",
                ),
                io.Float.Input(
                    "high_pass", default=0.5, min=0.0, max=100.0, step=0.1, tooltip="Hertz; 0 leaves slow drifts in."
                ),
                io.Float.Input(
                    "low_pass", default=45.0, min=0.0, max=1000.0, step=0.5, tooltip="Hertz; 0 leaves it open."
                ),
                io.Combo.Input(
                    "notch", options=list(NOTCHES), default="off", tooltip="Removes mains hum and its harmonics."
                ),
                io.Float.Input(
                    "sampling_rate",
                    optional=True,
                    default=0.0,
                    min=0.0,
                    max=20000.0,
                    step=1.0,
                    advanced=True,
                    tooltip="Hertz after resampling; 0 keeps the recording's.",
                ),
            ],
            outputs=[
                EegRecording.Output(display_name="recording"),
                io.String.Output(display_name="description", tooltip="What was done."),
            ],
        )

    @classmethod
    @readable
    def execute(
        cls,
        recording: Any,
        bad_channels: str,
        bad_channel_action: str,
        reference: str,
        high_pass: float,
        low_pass: float,
        notch: str,
        sampling_rate: float = 0.0,
    ) -> io.NodeOutput:
        """Clean a copy of the recording."""
        from ..core.preprocessing.cleaning import clean
        from ..core.recording import describe

        cleaned = clean(
            recording,
            bad_channels=bad_channels,
            interpolate=bad_channel_action == "interpolate",
            reference=reference,
            l_freq=high_pass or None,
            h_freq=low_pass or None,
            notch=NOTCHES[notch],
            sfreq=sampling_rate or None,
        )
        return io.NodeOutput(cleaned, describe(cleaned))


NODES = [LoadRecording, Preprocess]
