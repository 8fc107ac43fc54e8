"""Drawing without a host: a diffusers model, loaded at first use, that takes a prompt and what was decoded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...core.choices import FAMILIES, HOST_NEGATIVES
from ..generation.fields import Sources
from ..generation.request import EegRequest
from .jobs import Job
from .tab_draw import DrawSettings

if TYPE_CHECKING:
    from PIL.Image import Image

    from ...core.model.spaces import EncodePrompts

BATCH = 4


@dataclass(eq=False)
class Painter:
    """A diffusion model by its folder or file. Pages draw one after the other, for a pipeline keeps its place."""

    model: str
    config: str = ""
    device: str = "auto"
    pipeline: Any = None
    lock: Any = field(default_factory=threading.Lock)

    def load(self) -> Any:
        """Return the pipeline, loaded once; raises FileNotFoundError or ValueError as `load_pipeline` does."""
        import torch

        from ...core.conditioning.diffusers_pipeline import load_pipeline

        if self.pipeline is None:
            device = self.device if self.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
            dtype = torch.float32 if device == "cpu" else torch.float16
            self.pipeline = load_pipeline(self.model, device, dtype, self.config or None)
        return self.pipeline

    def text_encoder(self) -> EncodePrompts:
        """Return the model's text encoder as core takes it."""
        from ...core.conditioning.diffusers_pipeline import prompt_encoder

        with self.lock:
            return prompt_encoder(self.load())

    @contextmanager
    def alone(self, job: Job) -> Iterator[None]:
        """Wait for the pages that draw already; raises Cancelled where this one does not want to any more."""
        while not self.lock.acquire(timeout=0.2):
            job.say("Waiting for another page's pictures")
        try:
            yield
        finally:
            self.lock.release()

    def draw(self, sources: Sources, request: EegRequest, settings: DrawSettings, job: Job) -> list[Image]:
        """Draw one picture for each window, from the prompt steered by what was decoded.

        Raises ValueError where the model cannot take what the encoder gives, Cancelled where the job is cancelled.
        """
        from ...core.conditioning.diffusers_pipeline import generate, prompt_encoder
        from ...core.conditioning.init_images import as_image
        from ..generation.decoded import load_decoded

        decoded = load_decoded(request, sources.shelf, sources.library)
        with self.alone(job):
            job.say("Loading the model")
            pipeline = self.load()
            job.say("Decoding")
            encode = prompt_encoder(pipeline)
            family, windows = family_of(pipeline), range(len(decoded.selection))
            for window in windows:
                job(window, len(windows))
                decoded.rows_for(family, [window], lambda: encode)
            rows = decoded.rows_for(family, windows, lambda: encode)
            conditioning = steered(rows, encode([settings.prompt]), request)
            job.say("Drawing")
            pictures = generate(
                pipeline,
                conditioning,
                negative=HOST_NEGATIVES[request.negative],
                guidance=settings.guidance,
                steps=settings.steps,
                seed=settings.seed,
                batch=BATCH,
                on_step=job,
            )
        return [as_image(picture) for picture in pictures]


def steered(rows: Any, text: tuple[Any, Any], request: EegRequest) -> Any:
    """Return the conditioning of every window: the prompt's (context, pooled) as the request lets the EEG act on it."""
    from ...core.conditioning.blending import steer
    from ...core.conditioning.conditioning import Conditioning

    how = {"mode": request.mode, "strength": request.strength, "share": rows.share}
    context, pooled = text
    found = steer(context, rows.context, rows.mean_context, **how)
    if pooled is not None and rows.pooled is not None:
        pooled = steer(pooled, rows.pooled, rows.mean_pooled, **how)
    n = len(rows.context)
    mean = Conditioning("steered", rows.mean_context, rows.mean_pooled)
    return Conditioning(
        "steered",
        found.expand(n, -1, -1),
        None if pooled is None else pooled.expand(n, -1),
        negative=mean,
    )


def family_of(pipeline: Any) -> str:
    """Return the model family of a pipeline, a key of core's FAMILIES; ValueError for a width that none has."""
    from ...core.conditioning.diffusers_pipeline import is_sdxl

    width = pipeline.unet.config.cross_attention_dim
    for name, family in FAMILIES.items():
        if family.width == width and (family.pooled is not None) == is_sdxl(pipeline):
            return name
    known = ", ".join(f"{family.name} {family.width}" for family in FAMILIES.values())
    raise ValueError(f"this model takes text of width {width}, which no known family has: {known}")
