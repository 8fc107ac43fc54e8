"""Nodes that turn windows of a recording into the host's conditioning, and blend it with text."""

from typing import Any

from comfy_api.v0_0_2 import io

from ..core.choices import AUTO, BLEND_MODES, FAMILIES
from .host.families import family_of
from .host.host_conditioning import as_conditioning, as_embeds, blend_conditioning, vision_output
from .host.messages import readable
from .host.outputs import absent
from .host.sockets import CATEGORY, EegEncoder, EegWindows, Embeds, strength_and_spread
from .host.text_encoder import prompt_encoder

DRIVEN_BY = ["amount", "amount x confidence"]


class Encode(io.ComfyNode):
    """Decodes windows of a recording into everything that can condition a model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_Encode",
            display_name="EEG Encode",
            category=CATEGORY,
            description="Decodes EEG into conditioning that takes the place of a prompt's: one row, so one picture, "
            "for each window.",
            search_aliases=["eeg", "brain", "brain to image", "eeg to conditioning", "mind", "decode eeg"],
            inputs=[
                EegEncoder.Input("encoder", tooltip="From Load EEG Encoder or the trainer."),
                EegWindows.Input("windows", tooltip="From EEG Select Windows."),
                *strength_and_spread(),
                io.Combo.Input(
                    "family",
                    optional=True,
                    options=[AUTO, *FAMILIES],
                    default=AUTO,
                    tooltip="The model family the conditioning is for; auto asks the connected model.",
                ),
                io.String.Input(
                    "prompts",
                    optional=True,
                    default="",
                    multiline=True,
                    tooltip="Your own words for the encoder's prompts, one a line, in its order; empty: its own. "
                    "With a wrong number of lines the message lists them.",
                ),
                io.Model.Input(
                    "model", optional=True, tooltip="The model that will sample; only its family is looked at."
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="The checkpoint's text encoder, for encoders that answer with a mixture of prompts.",
                ),
                io.Int.Input(
                    "width",
                    default=1024,
                    min=0,
                    max=16384,
                    step=8,
                    optional=True,
                    advanced=True,
                    tooltip="Size of the picture that SDXL is told; 0 leaves it to the host.",
                ),
                io.Int.Input(
                    "height",
                    default=1024,
                    min=0,
                    max=16384,
                    step=8,
                    optional=True,
                    advanced=True,
                    tooltip="Size of the picture that SDXL is told; 0 leaves it to the host.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive"),
                io.Conditioning.Output(
                    display_name="negative", tooltip="The training mean: what the encoder says when it knows nothing."
                ),
                io.ClipVisionOutput.Output(
                    display_name="clip vision output", tooltip="For unCLIPConditioning: SD 2.1 unCLIP, or SDXL."
                ),
                Embeds.Output(display_name="embeds", tooltip="For IPAdapter Embeds: pos_embed."),
                io.Float.Output(
                    display_name="confidence",
                    tooltip="0 to 1: the probability that the answer is right, as far as anything is decodable in this "
                    "recording. 0: nothing is, or the encoder cannot tell.",
                ),
                io.String.Output(display_name="report", tooltip="What was decoded, window by window."),
                Embeds.Output(
                    display_name="negative embeds", tooltip="The training mean, for IPAdapter Embeds: neg_embed."
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        )

    @classmethod
    @readable
    def execute(
        cls,
        encoder: Any,
        windows: Any,
        strength: float,
        spread: float = 1.0,
        family: str = AUTO,
        prompts: str = "",
        model: Any = None,
        clip: Any = None,
        width: int = 1024,
        height: int = 1024,
    ) -> io.NodeOutput:
        """Decode every head that the rest of the graph can use."""
        from ..core.conditioning.for_host import answer

        found = answer(
            encoder,
            windows,
            family=family_of(model) if family == AUTO else family,
            strength=strength,
            restore_spread=spread,
            prompts=prompts,
            encode_prompts=None if clip is None else prompt_encoder(clip),
        )
        size = (width, height)
        return io.NodeOutput(
            as_conditioning(found.text, found.family, size) if found.text else absent(cls, 0, found.why_no_text),
            as_conditioning(found.text.negative, found.family, size)
            if found.text
            else absent(cls, 1, found.why_no_text),
            vision_output(found.vision.image_embeds) if found.vision else absent(cls, 2, found.why_no_vision),
            as_embeds(found.embeds) if found.embeds else absent(cls, 3, found.why_no_embeds),
            found.confidence,
            found.report,
            as_embeds(found.embeds.negative) if found.embeds else absent(cls, 6, found.why_no_embeds),
        )


class BlendConditioning(io.ComfyNode):
    """Blends a prompt's conditioning with the EEG's."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_BlendConditioning",
            display_name="EEG Blend Conditioning",
            category=CATEGORY,
            description="Blends text with EEG conditioning, by an amount or as far as the decoder is sure.",
            search_aliases=["mix eeg and text", "eeg strength", "slerp conditioning"],
            inputs=[
                io.Conditioning.Input("text", tooltip="A prompt's conditioning; its areas, masks and sizes are kept."),
                io.Conditioning.Input("eeg", tooltip="EEG Encode's positive."),
                io.Float.Input(
                    "amount",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    display_mode=io.NumberDisplay.slider,
                    tooltip="0: the text itself, bit for bit; 1: the EEG.",
                ),
                io.Combo.Input(
                    "driven_by",
                    options=DRIVEN_BY,
                    default=DRIVEN_BY[0],
                    tooltip="amount x confidence: windows the decoder is unsure of fall back to the text; guessing "
                    "counts as 0, certainty as 1.",
                ),
                io.Combo.Input(
                    "mode",
                    options=list(BLEND_MODES),
                    default=BLEND_MODES[0],
                    tooltip="lerp: straight mixture. slerp: along the arc, lengths kept. concat: tokens side by side.",
                ),
            ],
            outputs=[io.Conditioning.Output(display_name="conditioning")],
        )

    @classmethod
    @readable
    def execute(cls, text: Any, eeg: Any, amount: float, driven_by: str, mode: str) -> io.NodeOutput:
        """Blend, row by row."""
        return io.NodeOutput(blend_conditioning(text, eeg, amount, mode, by_confidence=driven_by == DRIVEN_BY[1]))


NODES = [Encode, BlendConditioning]
