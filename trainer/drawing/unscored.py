"""Pictures from real EEG, drawn to be looked at: what they should look like is not known, so nothing scores them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core.conditioning.conditioning import Conditioning
from core.conditioning.diffusers_pipeline import prompt_encoder
from core.preprocessing.trials import Trials

from ..targets.features.pictures import load_picture
from .two_levels import Levels, draw_levels

SIDE = 256  # pixels of a seen picture


def spread_out(test: Trials, n: int) -> np.ndarray:
    """Return the numbers of at most n trials, evenly spread over the test."""
    return np.unique(np.linspace(0, len(test) - 1, min(n, len(test))).round().astype(int))


def draw_some(
    pipeline: Any, levels: Levels, captions: list[str], seed: int, steps: int, guidance: float, denoise: float
) -> dict[str, Any]:
    """Return rows of the report's grid: pictures (n, 3, H, W) in [0, 1] decoded, from the true captions and from the
    train mean, each window with the same noise.
    """
    decoded, mean = levels.text, levels.text.negative
    assert decoded.context is not None
    n = len(decoded.context)
    kinds: dict[str, Levels] = {"decoded": levels}
    context, pooled = prompt_encoder(pipeline)(captions)
    kinds["from caption"] = Levels(Conditioning(decoded.space, context=context, pooled=pooled, negative=mean))
    if mean is not None and mean.context is not None:
        pooled = None if mean.pooled is None else mean.pooled.expand(n, -1)
        start = None if levels.mean_start is None else levels.mean_start.expand(n, -1, -1, -1)
        kinds["train mean"] = Levels(
            Conditioning(mean.space, context=mean.context.expand(n, -1, -1), pooled=pooled, negative=mean), start
        )
    found: dict[str, Any] = {} if levels.start is None else {"pixel level": levels.start}
    with tqdm(total=n * len(kinds), desc="pictures") as bar:
        for name, of in kinds.items():
            before = bar.n
            found[name] = draw_levels(
                pipeline, of, denoise=denoise, steps=steps, guidance=guidance, seed=seed, batch=4,
                progress=lambda done, before=before: bar.update(before + done - bar.n),
            )  # fmt: skip
    if decoded.confidence is not None:
        found["decoded captions"] = [f"confidence {value:.2f}" for value in decoded.confidence.tolist()]
    return found


def seen_beside(images: Path | None, image_ids: list[str]) -> dict[str, Tensor]:
    """Return the pictures that were shown as a row of the report's grid; nothing where their folder is not known."""
    if images is None:
        return {}
    from torch.nn.functional import interpolate

    found = []
    for name in image_ids:
        picture = torch.from_numpy(load_picture(images, name).copy()).permute(2, 0, 1)[None].float() / 255
        found.append(interpolate(picture, (SIDE, SIDE), mode="bilinear", antialias=True)[0])
    return {"seen": torch.stack(found)}
