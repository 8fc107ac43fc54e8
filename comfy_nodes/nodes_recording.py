"""Nodes that read recordings."""

from comfy_api.v0_0_2 import io

from . import folders
from .sockets import CATEGORY, EegRecording

UNITS = ["from the file", "V", "mV", "uV", "nV"]


class LoadRecording(io.ComfyNode):
    """Reads a recording from the host's input folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_LoadRecording",
            display_name="Load EEG Recording",
            category=CATEGORY,
            description="Reads an EEG recording (EDF, BDF, BrainVision, EEGLAB, FIF, CSV ...) from the input folder.",
            search_aliases=["eeg", "brain", "edf", "bdf", "muse", "emotiv"],
            inputs=[
                io.Combo.Input("file", options=folders.recording_names(), tooltip="A file in ComfyUI's input folder."),
                io.Combo.Input(
                    "units",
                    options=UNITS,
                    default=UNITS[0],
                    optional=True,
                    advanced=True,
                    tooltip="The unit of the file's numbers, where the file does not say it or says it wrongly.",
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
    def validate_inputs(cls, file: str) -> bool | str:
        """Return True for a file that lies in the input folder, also one put there after the host started."""
        try:
            folders.recording_path(file)
        except (ValueError, FileNotFoundError) as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str, units: str = UNITS[0]) -> str:
        """Return what changes when the file does, so that an edited recording is read again."""
        stat = folders.recording_path(file).stat()
        return f"{units} {stat.st_size} {stat.st_mtime_ns}"

    @classmethod
    def execute(cls, file: str, units: str = UNITS[0]) -> io.NodeOutput:
        """Read the file."""
        from ..core.recording import describe, load_recording

        recording = load_recording(folders.recording_path(file), units=None if units == UNITS[0] else units)
        return io.NodeOutput(recording, describe(recording))


NODES = [LoadRecording]
