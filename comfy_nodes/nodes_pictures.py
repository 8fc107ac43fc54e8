"""Nodes that give img2img its start: the picture or the latent decoded from EEG."""

from typing import Any

from comfy_api.v0_0_2 import io

from ..core.choices import FITS, LATENT_RESIZES, RESIZES
from .host.families import family_of
from .host.messages import readable
from .host.sockets import CATEGORY, EegEncoder, EegWindows, strength_and_spread


def shared_inputs() -> list[Any]:
    """Return what both nodes are given first."""
    size = "pixels, as of the generation; 0 follows from the other one, both 0 are the encoder's own size."
    return [
        EegEncoder.Input("encoder", tooltip="From Load EEG Encoder or the trainer."),
        EegWindows.Input("windows", tooltip="From EEG Select Windows, where repeats are averaged; one row for each."),
        io.Int.Input("width", default=512, min=0, max=16384, step=8, tooltip=f"Width in {size}"),
        io.Int.Input("height", default=512, min=0, max=16384, step=8, tooltip=f"Height in {size}"),
    ]


def confidence_and_report() -> list[Any]:
    """Return the outputs that say what was decoded, and how surely."""
    return [
        io.Float.Output(
            display_name="confidence",
            tooltip="0 to 1: the probability that the answer is right, as far as anything is decodable in this "
            "recording. 0: nothing is, or the encoder cannot tell.",
        ),
        io.String.Output(display_name="report", tooltip="What was decoded, window by window."),
    ]


class Saliency(io.ComfyNode):
    """Decodes windows of a recording into pictures of what stood where, for img2img."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_Saliency",
            display_name="EEG Saliency",
            category=CATEGORY,
            description="Decodes EEG into a rough picture of what stood where, for VAE Encode and a KSampler at a "
            "denoise below 1: one picture for each window. The encoder needs a `saliency` head.",
            search_aliases=[
                "eeg img2img",
                "eeg init image",
                "brain to image",
                "neuroimagen",
                "saliency map",
                "eeg mask",
            ],
            inputs=[
                *shared_inputs(),
                io.Combo.Input(
                    "resize",
                    options=list(RESIZES),
                    default=RESIZES[0],
                    tooltip="How the encoder's small picture is enlarged; nearest leaves its pixels as squares.",
                ),
                io.Combo.Input(
                    "fit",
                    options=list(FITS),
                    default=FITS[0],
                    tooltip="stretch: to other proportions. crop: keeps them, and cuts off what hangs over.",
                ),
                *strength_and_spread(),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="For VAE Encode: where img2img starts."),
                io.Mask.Output(
                    display_name="mask",
                    tooltip="How far the picture departs from the training mean: the luminance of the difference, over "
                    "its largest value in each picture. For Set Latent Noise Mask and inpainting.",
                ),
                io.Image.Output(
                    display_name="mean image",
                    tooltip="The training mean: what the encoder draws when it knows nothing, as a control.",
                ),
                *confidence_and_report(),
            ],
        )

    @classmethod
    @readable
    def execute(
        cls,
        encoder: Any,
        windows: Any,
        width: int,
        height: int,
        resize: str,
        fit: str,
        strength: float,
        spread: float = 1.0,
    ) -> io.NodeOutput:
        """Decode the saliency head."""
        import comfy.model_management

        from ..core.conditioning.init_images import init_pictures

        found = init_pictures(
            encoder,
            windows,
            width=width,
            height=height,
            how=resize,
            fit=fit,
            strength=strength,
            restore_spread=spread,
        )
        device = comfy.model_management.intermediate_device()
        return io.NodeOutput(
            found.values.movedim(1, -1).to(device),
            found.mask.to(device),  # type: ignore[union-attr]  # set by then
            found.mean.movedim(1, -1).to(device),
            found.confidence,
            found.report,
        )


class ToLatent(io.ComfyNode):
    """Decodes windows of a recording into latents, for img2img without a picture between."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return what the node looks like."""
        return io.Schema(
            node_id="SDEEG_ToLatent",
            display_name="EEG to Latent",
            category=CATEGORY,
            description="Decodes EEG into latents for a KSampler at a denoise below 1: one for each window. For "
            "Stable Diffusion 1.x alone; the encoder needs an `sd1.latent` head.",
            search_aliases=["eeg img2img", "eeg init latent", "brain to latent", "latent from eeg", "autoencoderkl"],
            inputs=[
                *shared_inputs(),
                io.Combo.Input(
                    "resize",
                    options=list(LATENT_RESIZES),
                    default=LATENT_RESIZES[0],
                    tooltip="How the encoder's small latent is enlarged.",
                ),
                *strength_and_spread(),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="The model that will sample: its latents' scale is taken, and one that is not SD 1.x is "
                    "refused. A latent alone does not say what it is of: unconnected, SD 1.x's is taken.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="For a KSampler or VAE Decode of SD 1.x."),
                io.Latent.Output(
                    display_name="mean latent",
                    tooltip="The training mean: what the encoder says when it knows nothing, as a control.",
                ),
                *confidence_and_report(),
            ],
        )

    @classmethod
    @readable
    def execute(
        cls,
        encoder: Any,
        windows: Any,
        width: int,
        height: int,
        resize: str,
        strength: float,
        spread: float = 1.0,
        model: Any = None,
    ) -> io.NodeOutput:
        """Decode the latent head."""
        from ..core.conditioning.init_images import init_latents

        found = init_latents(
            encoder,
            windows,
            family="sd1" if model is None else family_of(model),
            width=width,
            height=height,
            how=resize,
            strength=strength,
            restore_spread=spread,
        )
        return io.NodeOutput(
            as_latent(found.values, model), as_latent(found.mean, model), found.confidence, found.report
        )


def as_latent(values: Any, model: Any) -> dict[str, Any]:
    """Return latents as SD 1.x's sampler has them as the host's LATENT, which is as its VAE gives them."""
    import comfy.latent_formats
    import comfy.model_management

    known = comfy.latent_formats.SD15() if model is None else model.get_model_object("latent_format")
    return {"samples": known.process_out(values).to(comfy.model_management.intermediate_device())}


NODES = [Saliency, ToLatent]
