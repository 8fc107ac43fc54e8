"""Scores of pictures drawn from decoded EEG, beside pictures drawn from the true captions, the train mean and shuffled
EEG.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core.conditioning.conditioning import Conditioning
from core.conditioning.diffusers_pipeline import prompt_encoder
from core.phantom.judge import ATTRIBUTES, Judge, judge_pictures
from core.phantom.scenes import draw, scene_from_caption

from ..evaluation.decoding_scores import score_entry
from .two_levels import DENOISE, Levels, draw_levels

STEPS = 25
GUIDANCE = 3.0


@dataclass(frozen=True)
class Drawn:
    """Pictures (n, 3, H, W) in [0, 1] for the test windows: `seen`, `decoded` from EEG, from the true `caption`, and
    from the train `mean` (1, 3, H, W).
    """

    seen: Tensor
    decoded: Tensor
    caption: Tensor
    mean: Tensor


def seen_pictures(captions: list[str]) -> Tensor:
    """Return the phantom's clean pictures (n, 3, 64, 64) in [0, 1]."""
    pictures = np.stack([draw(scene_from_caption(caption)) for caption in captions])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def draw_all(
    pipeline: Any,
    decoded: Conditioning,
    captions: list[str],
    seed: int,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    shown: list[str] | None = None,
    levels: Levels | None = None,
    denoise: float = DENOISE,
) -> Drawn:
    """Draw the decoded windows, the true captions and the train mean with the same noise for the same window.

    shown: full captions of the scenes that were seen, where `captions` do not tell place and size. levels: the decoded
    windows' pixel level, from whose start `denoise` of the picture is redrawn; the train mean then starts from its own.
    """
    bar = tqdm(total=2 * len(captions) + 1, desc="pictures")

    def paint(conditioning: Conditioning, begin: Tensor | None = None) -> Tensor:
        start = bar.n
        return draw_levels(pipeline, Levels(conditioning, begin), denoise=denoise, steps=steps, guidance=guidance,
                           seed=seed, progress=lambda n: bar.update(start + n - bar.n))  # fmt: skip

    context, pooled = prompt_encoder(pipeline)(captions)
    begin = levels or Levels(decoded)
    pictures = paint(decoded, begin.start)
    from_caption = paint(Conditioning(decoded.space, context=context, pooled=pooled))
    if decoded.negative is None:
        raise ValueError("pictures are scored beside the train mean's, which this conditioning lacks")
    mean = paint(decoded.negative, begin.mean_start)
    bar.close()
    return Drawn(seen_pictures(shown or captions), pictures, from_caption, mean)


def shape_and_colour(judge: Judge, pictures: Tensor) -> np.ndarray:
    """Return the judged shape and colour of pictures as one number (n,)."""
    found = judge_pictures(judge, pictures)
    return (found["shape"] * len(ATTRIBUTES["colour"]) + found["colour"]).numpy()


def true_shape_and_colour(captions: list[str]) -> np.ndarray:
    """Return the true shape and colour of captions as one number (n,)."""
    codes = np.array([scene_from_caption(caption).codes for caption in captions])
    return codes[:, 0] * len(ATTRIBUTES["colour"]) + codes[:, 1]


def agreement(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of equal numbers."""
    return float((found == truth).mean())


def class_entries(judge: Judge, drawn: Drawn, captions: list[str]) -> list[dict]:
    """Return the class accuracy rows: shape and colour both right, from EEG and from the true caption (its ceiling).

    Chance is what guessing every test picture's commonest class, or any, would get: one over the number of classes.
    """
    truth, chance = true_shape_and_colour(captions), 1 / (len(ATTRIBUTES["shape"]) * len(ATTRIBUTES["colour"]))
    by_caption = shape_and_colour(judge, drawn.caption)
    mean = agreement(shape_and_colour(judge, drawn.mean).repeat(len(truth)), truth)
    by_eeg = shape_and_colour(judge, drawn.decoded)
    ceiling = agreement(by_caption, truth)
    return [
        score_entry("shape and colour, EEG to picture", by_eeg, truth, agreement, chance=chance, train_mean=mean,
                    hits=(by_eeg == truth).astype(float), ceiling=ceiling, note="ceiling: the true caption's pictures"),
        score_entry("shape and colour, caption to picture", by_caption, truth, agreement, chance=chance,
                    train_mean=mean, hits=(by_caption == truth).astype(float)),
    ]  # fmt: skip


def attribute_accuracy(judge: Judge, drawn: Drawn, captions: list[str]) -> dict[str, dict[str, float]]:
    """Return for each attribute the accuracy of pictures from EEG, from captions, and chance."""
    codes = np.array([scene_from_caption(caption).codes for caption in captions])
    eeg, caption = judge_pictures(judge, drawn.decoded), judge_pictures(judge, drawn.caption)
    return {
        name: {
            "EEG": agreement(eeg[name].numpy(), codes[:, i]),
            "caption": agreement(caption[name].numpy(), codes[:, i]),
            "chance": 1 / len(values),
        }
        for i, (name, values) in enumerate(ATTRIBUTES.items())
    }


def pixel_entries(drawn: Drawn, metrics: dict[str, Callable[[Tensor, Tensor], Tensor]]) -> list[dict]:
    """Return a row for each metric of decoded against seen pictures; a metric maps two stacks of pictures to values
    (n,).
    """
    entries = []
    n = len(drawn.seen)
    for name, metric in metrics.items():
        # All pairs once: permuting truth then only picks other entries.
        pairs = torch.stack(
            [metric(drawn.decoded, drawn.seen[i : i + 1].expand(n, -1, -1, -1)) for i in range(n)], dim=1
        ).numpy()
        own = np.arange(n)
        entries.append(
            score_entry(
                name,
                pairs,
                own,
                lambda scores, truth: float(scores[np.arange(len(truth)), truth].mean()),
                chance=float(pairs.mean()),
                train_mean=float(metric(drawn.mean.expand(n, -1, -1, -1), drawn.seen).mean()),
                hits=pairs[own, own],
                ceiling=float(metric(drawn.caption, drawn.seen).mean()),
                note="chance: any decoded picture against any seen one; ceiling: the true caption's pictures",
            )
        )
    return entries
