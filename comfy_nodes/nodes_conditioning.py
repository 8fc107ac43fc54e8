"""Nodes that turn a recording into the host's conditioning."""

from collections.abc import Callable
from typing import Any

from comfy_api.v0_0_2 import io

from .sockets import CATEGORY, EegEncoder, EegRecording


def prompt_encoder(clip: Any) -> Callable[[list[str]], tuple[Any, Any]]:
    """Return the host's text encoder as core takes it: prompts to context (n, tokens, width) and pooled or None."""
    import torch

    def encode(prompts: list[str]) -> tuple[Any, Any]:
        contexts, pooled = zip(
            *(clip.encode_from_tokens(clip.tokenize(prompt), return_pooled=True) for prompt in prompts), strict=True
        )
        longest = max(context.shape[1] for context in contexts)
        padded = [torch.cat([c, c[:, -1:].expand(-1, longest - c.shape[1], -1)], dim=1) for c in contexts]
        return torch.cat(padded), None if any(one is None for one in pooled) else torch.cat(pooled)

    return encode


def host_conditioning(decoded: Any) -> list:
    """Return core's Conditioning as the host's CONDITIONING; ValueError where it holds no context for a sampler."""
    import comfy.model_management

    if decoded.context is None:
        raise ValueError(
            f"the encoder answers in {decoded.space!r}, which is no conditioning by itself. "
            "Where that is `prompts`, connect the checkpoint's CLIP to the node's clip input"
        )
    device = comfy.model_management.intermediate_device()
    options = {} if decoded.pooled is None else {"pooled_output": decoded.pooled.to(device)}
    return [[decoded.context.to(device), options]]


class Encode(io.ComfyNode):
    """Decodes a stretch of a recording into conditioning."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_Encode",
            display_name="EEG to Conditioning",
            category=CATEGORY,
            description="Decodes the EEG after an event into conditioning that takes the place of a prompt's.",
            search_aliases=["eeg", "brain", "brain to image"],
            inputs=[
                EegEncoder.Input("encoder"),
                EegRecording.Input("recording"),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="The checkpoint's text encoder, for encoders that answer with a mixture of prompts.",
                ),
                io.String.Input("event", default="", tooltip="Use events with this label; empty: any event."),
                io.Int.Input(
                    "index",
                    default=-1,
                    min=-1,
                    max=1_000_000,
                    tooltip="Which of these events, from 0; -1: all, averaged.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    display_mode=io.NumberDisplay.slider,
                    tooltip="0: nothing of the EEG, 1: as decoded, above: exaggerated.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="conditioning"),
                io.Float.Output(
                    display_name="confidence", tooltip="0 to 1, calibrated on recordings the encoder had not seen."
                ),
                io.String.Output(display_name="report", tooltip="What was decoded, from which events and channels."),
            ],
        )

    @classmethod
    def execute(
        cls, encoder: Any, recording: Any, event: str, index: int, strength: float, clip: Any = None
    ) -> io.NodeOutput:
        """Decode the chosen events."""
        from ..core.conditioning import decode

        decoded = decode(
            encoder,
            recording,
            label=event or None,
            index=None if index < 0 else index,
            average=True,
            strength=strength,
            encode_prompts=None if clip is None else prompt_encoder(clip),
        )
        # An encoder that was never calibrated does not know how sure it is; 0 lets a graph fall back to text.
        confidence = 0.0 if decoded.confidence is None else float(decoded.confidence.mean())
        return io.NodeOutput(host_conditioning(decoded), confidence, decoded.report)


NODES = [Encode]
