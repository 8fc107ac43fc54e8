"""Nodes that load encoders."""

from comfy_api.v0_0_2 import io

from . import folders
from .sockets import CATEGORY, EegEncoder


class LoadEncoder(io.ComfyNode):
    """Loads an encoder file from models/eeg_encoders."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_LoadEncoder",
            display_name="Load EEG Encoder",
            category=CATEGORY,
            description="Loads a trained EEG encoder from models/eeg_encoders.",
            search_aliases=["eeg", "brain", "decoder"],
            inputs=[
                io.Combo.Input("encoder", options=folders.encoder_names(), tooltip="A file in models/eeg_encoders.")
            ],
            outputs=[
                EegEncoder.Output(display_name="encoder"),
                io.String.Output(
                    display_name="card",
                    tooltip="What it was trained on, its measured accuracy and the licence of its data.",
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, encoder: str) -> str:
        """Return what changes when the file does."""
        stat = folders.encoder_path(encoder).stat()
        return f"{stat.st_size} {stat.st_mtime_ns}"

    @classmethod
    def execute(cls, encoder: str) -> io.NodeOutput:
        """Load the file onto the host's device."""
        import comfy.model_management

        from ..core.checkpoint import load_encoder

        loaded = load_encoder(folders.encoder_path(encoder), device=comfy.model_management.get_torch_device())
        return io.NodeOutput(loaded, loaded.card_text())


NODES = [LoadEncoder]
