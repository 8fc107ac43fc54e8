"""Who looks at an ablation's pictures, what they are held against, and the share to redraw, chosen on validation."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.conditioning.resizing import resize
from core.model.prediction import predict
from core.preprocessing.trials import Trials

from ..drawing.two_levels import DENOISE, Levels, decode_levels, picture_size
from ..evaluation.decoding_report import Evaluated
from ..evaluation.picture_classifiers import Classifier, clip_embeddings, look_at
from ..targets.features.pictures import load_picture
from ..training.splits import trials_at_use
from .arms import Arm, draw_arm
from .options import AblationOptions
from .scores import Seen, score_pictures

COLUMNS = ("ACC", "SSIM", "place")
TOLERATED = 0.03  # of ACC that the pixel level may cost when the share to redraw is chosen


@dataclass(frozen=True)
class Eyes:
    """Who looks at pictures: the classifier, on the phantom also the places, and CLIP's name or ""."""

    classifier: Classifier
    places: Callable[[Tensor], np.ndarray] | None = None
    clip: str = ""


def truth_of(evaluated: Evaluated, trials: Trials, pipeline: Any, eyes: Eyes, options: AblationOptions) -> Seen:
    """Return the seen pictures of trials, at the size that is drawn, and what the classifier sees in them."""
    images = options.images or evaluated.options.targets.images
    pictures = []
    for image_id in trials.image_id.tolist():
        pixels = torch.from_numpy(np.array(load_picture(images, image_id))).permute(2, 0, 1)[None].float() / 255
        pictures.append(resize(pixels, picture_size(pipeline), fit="crop").clamp(0, 1))
    stack = torch.cat(pictures)
    place = None
    if evaluated.is_phantom:
        from ..evaluation.phantom_truth import scenes_named

        place = np.array([scenes_named(image_id)[0].codes[2] for image_id in trials.image_id.tolist()])
    vectors = clip_embeddings(stack, eyes.clip) if eyes.clip else None
    return Seen(stack, look_at(eyes.classifier, stack), trials.image_id, place, vectors)


def choose_denoise(
    evaluated: Evaluated, pipeline: Any, eyes: Eyes, options: AblationOptions
) -> tuple[float, list[dict[str, float]]]:
    """Return the share to redraw, chosen on validation pictures, and what each candidate got there.

    Among the candidates whose ACC is at most 3 points below that of the sample level alone, the one with the best place
    accuracy on the phantom, else with the best SSIM; where none is, the one with the best ACC. Without a validation
    split, or with --denoise, nothing is chosen.
    """
    if options.denoise or not len(evaluated.parts["val"]):
        return options.denoise or DENOISE, []
    val = trials_at_use(evaluated.trials, evaluated.parts["val"], evaluated.options.data)
    seen = truth_of(evaluated, val, pipeline, eyes, options)
    outputs = predict(evaluated.encoder, val.eeg, people=val.subject)
    levels = decode_levels(
        evaluated.encoder, outputs, pipeline, init=options.init, restore_spread=options.restore_spread
    )

    def scored(levels: Levels, denoise: float) -> dict[str, float]:
        rows = []
        for number in range(options.validation_seeds):
            other = replace(options, seed=options.seed + 100_000 * (number + 1))
            drawn = draw_arm(pipeline, Arm(f"validation {denoise:g}", levels), denoise, other)
            row = score_pictures(drawn, seen, eyes.classifier, eyes.places)
            rows.append({name: row[name].value for name in COLUMNS if name in row})
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

    alone = scored(Levels(levels.text), 1.0)
    tried = [{"denoise": share, **scored(levels, share)} for share in options.strengths]
    return best_share(tried, alone["ACC"]), [{"denoise": 1.0, **alone}, *tried]


def best_share(tried: list[dict[str, float]], alone: float) -> float:
    """Return the chosen candidate's `denoise`; alone: ACC of the sample level by itself."""
    told = "place" if "place" in tried[0] else "SSIM"
    harmless = [row for row in tried if row["ACC"] >= alone - TOLERATED]
    if not harmless:
        return max(tried, key=lambda row: (row["ACC"], row["denoise"]))["denoise"]
    return max(harmless, key=lambda row: (row[told], row["denoise"]))["denoise"]
