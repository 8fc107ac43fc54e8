"""Nodes that load, make and save encoders."""

from typing import Any

from comfy_api.v0_0_2 import io

from ..core.choices import PERSONAL_ARCHITECTURES
from . import folders
from .host.messages import readable
from .host.progress import host_progress
from .host.sockets import CATEGORY, EegEncoder, EegRecording
from .host.text_encoder import prompt_encoder

TARGETS = ["prompts", "prompts and text states"]


class LoadEncoder(io.ComfyNode):
    """Loads an encoder file from models/eeg_encoders."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_LoadEncoder",
            display_name="Load EEG Encoder",
            category=CATEGORY,
            description="Loads a trained EEG encoder from models/eeg_encoders, or one that comes with the pack.",
            search_aliases=["eeg", "brain", "decoder", "eeg model"],
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
    def validate_inputs(cls, encoder: str) -> bool | str:
        """Return True for a file that the host's folders hold, also one put there after the host started."""
        return folders.complaint(folders.encoder_path, encoder)

    @classmethod
    def fingerprint_inputs(cls, encoder: str) -> str:
        """Return what changes when the file's content does."""
        return folders.content_of(folders.encoder_path(encoder))

    @classmethod
    @readable
    def execute(cls, encoder: str) -> io.NodeOutput:
        """Load the file onto the host's device."""
        import comfy.model_management

        from ..core.model.checkpoint import load_encoder

        loaded = load_encoder(folders.encoder_path(encoder), device=comfy.model_management.get_torch_device())
        return io.NodeOutput(loaded, loaded.card_text())


class TrainEncoder(io.ComfyNode):
    """Fits an encoder to a labelled recording in closed form."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_TrainEncoder",
            display_name="EEG Encoder Trainer (closed form)",
            category=CATEGORY,
            description="Makes an encoder for one person and one headset from a recording with labelled events, in "
            "seconds, and scores it on stretches it was not fitted to.",
            search_aliases=["train eeg", "fit eeg", "calibrate eeg", "ridge", "personal encoder"],
            inputs=[
                EegRecording.Input(
                    "recording", tooltip="With at least two labels, 20 labelled events, and 5 of each label."
                ),
                io.String.Input(
                    "captions",
                    default="",
                    multiline=True,
                    tooltip="What each label means, one a line: `face = a portrait photo of a face`. Labels without a "
                    "line are their own caption; where lines are given, other labels are left out.",
                ),
                io.Combo.Input(
                    "targets",
                    options=TARGETS,
                    default=TARGETS[0],
                    tooltip="prompts: weights over the captions, for every model family. text states: also the "
                    "checkpoint's own text states, which needs its CLIP (SD 1.x, SD 2.x, SDXL) and many captions.",
                ),
                io.Combo.Input(
                    "architecture",
                    options=list(PERSONAL_ARCHITECTURES),
                    default=PERSONAL_ARCHITECTURES[0],
                    tooltip="tangent: Xdawn covariances in tangent space, best for a few labels. linear: ridge "
                    "regression on the samples, for many.",
                ),
                io.Float.Input(
                    "from_s", default=-0.1, min=-2.0, max=10.0, step=0.05, tooltip="Window about an event, seconds."
                ),
                io.Float.Input(
                    "to_s", default=0.8, min=0.05, max=20.0, step=0.05, tooltip="Window about an event, seconds."
                ),
                io.Float.Input("high_pass", default=1.0, min=0.0, max=50.0, step=0.1, tooltip="Hertz; 0: none."),
                io.Float.Input("low_pass", default=30.0, min=1.0, max=500.0, step=0.5, tooltip="Hertz."),
                io.String.Input("name", default="my encoder", tooltip="Stands on the encoder's card."),
                io.Clip.Input("clip", optional=True, tooltip="The loaded checkpoint's text encoder, for text states."),
            ],
            outputs=[
                EegEncoder.Output(display_name="encoder"),
                io.String.Output(
                    display_name="report", tooltip="Cross-validated score, chance, p-value, and what was fitted."
                ),
                io.Float.Output(display_name="accuracy", tooltip="Cross-validated, balanced over labels."),
            ],
        )

    @classmethod
    @readable
    def execute(
        cls,
        recording: Any,
        captions: str,
        targets: str,
        architecture: str,
        from_s: float,
        to_s: float,
        high_pass: float,
        low_pass: float,
        name: str,
        clip: Any = None,
    ) -> io.NodeOutput:
        """Fit, score, calibrate."""
        from ..core.fitting.captions import parse_captions
        from ..core.fitting.personal_encoder import fit_personal_encoder

        fitted = fit_personal_encoder(
            recording,
            parse_captions(captions),
            architecture=architecture,
            tmin=from_s,
            tmax=to_s,
            l_freq=high_pass or None,
            h_freq=low_pass,
            text_states=targets == TARGETS[1],
            encode_prompts=None if clip is None else prompt_encoder(clip),
            name=name,
            progress=host_progress(),
        )
        return io.NodeOutput(fitted.encoder, fitted.report, fitted.accuracy)


class SaveEncoder(io.ComfyNode):
    """Writes an encoder into models/eeg_encoders."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_SaveEncoder",
            display_name="Save EEG Encoder",
            category=CATEGORY,
            description="Saves an encoder as one file in models/eeg_encoders, where Load EEG Encoder finds it. A file "
            "that is there already is never overwritten.",
            search_aliases=["export eeg encoder"],
            inputs=[
                EegEncoder.Input("encoder", tooltip="What is saved."),
                io.String.Input("filename", default="my-encoder", tooltip="Without a folder; a number is added."),
            ],
            outputs=[io.String.Output(display_name="file", tooltip="The name under which Load EEG Encoder lists it.")],
            is_output_node=True,
        )

    @classmethod
    @readable
    def execute(cls, encoder: Any, filename: str) -> io.NodeOutput:
        """Save under a name that is free."""
        from ..core.model.checkpoint import save_encoder

        path = folders.free_encoder_path(filename)
        save_encoder(encoder, path)
        return io.NodeOutput(path.name, ui={"text": [f"saved {path.name}"]})


NODES = [LoadEncoder, TrainEncoder, SaveEncoder]
