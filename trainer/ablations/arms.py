"""The ways of drawing that an ablation compares: NeuroImagen's table 3, and the controls beside it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core.conditioning.conditioning import Conditioning
from core.conditioning.diffusers_pipeline import prompt_encoder
from core.model.checkpoint import EegEncoder
from core.model.prediction import predict
from core.preprocessing.trials import Trials

from ..drawing.two_levels import NONE, Levels, decode_levels, draw_levels, empty_prompt, init_of, text_space
from ..evaluation.decoding_report import Evaluated
from ..evaluation.plain_classifier import classify_plainly, label_captions
from ..training.splits import trials_at_use, trials_in_training
from .caption_head import with_captions
from .options import AblationOptions


@dataclass(frozen=True)
class Arm:
    """One way of drawing: its name, what it is drawn from, and whether it is a control.

    pictures: those that are there already and are not drawn. note: what else a reader must know.
    """

    name: str
    levels: Levels
    control: bool = False
    pictures: Tensor | None = None
    note: str = ""


def chosen_windows(evaluated: Evaluated, options: AblationOptions) -> tuple[Trials, dict[str, Tensor]]:
    """Return the test windows that are drawn, with the encoder's outputs."""
    n = len(evaluated.test)
    if not options.limit or options.limit >= n:
        return evaluated.test, evaluated.outputs
    rows = np.sort(np.random.default_rng([options.seed, 31]).permutation(n)[: options.limit])
    outputs = {space: output[torch.from_numpy(rows)] for space, output in evaluated.outputs.items()}
    return evaluated.test.select(rows), outputs


def check_levels(encoder: EegEncoder, init: str) -> None:
    """Raise ValueError where an encoder has not both levels."""
    if text_space(encoder) is None or init_of(encoder, init) == NONE:
        raise ValueError(
            "an ablation needs both levels: a text or prompts head, and a saliency or sd1.latent head; this encoder "
            f"has {', '.join(encoder.spaces)} (train with --space sd1.text saliency, or --preset neuroimagen)"
        )


def full_captions(evaluated: Evaluated, template: str) -> np.ndarray | None:
    """Return a caption for each of the store's trials that tells more than its label; None where there is none."""
    trials = evaluated.trials
    if evaluated.is_phantom:
        from ..evaluation.phantom_truth import scenes_named

        whole = {name: scenes_named(name)[0].caption for name in np.unique(trials.image_id).tolist()}
        own = np.array([whole[name] for name in trials.image_id.tolist()])
    else:
        own = trials.caption
    return None if (own == label_captions(trials, template)).all() else own


def sample_levels(
    evaluated: Evaluated, test: Trials, outputs: dict[str, Tensor], pipeline: Any, options: AblationOptions
) -> tuple[dict[str, Levels], set[str]]:
    """Return both levels for label captions and, where the store has them, for full ones; and which were fitted here.

    The run's own text head speaks the captions it was trained on; the other one's is fitted on the frozen backbone.
    """
    encoder, trials = evaluated.encoder, evaluated.trials
    own = decode_levels(encoder, outputs, pipeline, init=options.init, restore_spread=options.restore_spread)
    kinds = {"label caption": label_captions(trials, options.label_caption)}
    full = full_captions(evaluated, options.label_caption)
    if full is not None:
        kinds["full caption"] = full
    space, found, fitted = text_space(encoder), {}, set()
    for kind, captions in kinds.items():
        if (captions == trials.caption).all():
            found[kind] = own
        elif space != "prompts" and evaluated.options.targets.clip:
            assert space is not None
            train = trials_in_training(trials, evaluated.parts["train"], evaluated.options.data)
            val = trials_at_use(trials, evaluated.parts["val"], evaluated.options.data)
            said = dict(zip(trials.image_id.tolist(), captions.tolist(), strict=True))
            cache = evaluated.store.folder / "targets"
            other = with_captions(encoder, space, train, val, said, evaluated.options.targets.clip, cache)
            text = decode_levels(
                other,
                predict(other, test.eeg, people=test.subject),
                pipeline,
                init=NONE,
                restore_spread=options.restore_spread,
            )
            found[kind] = replace(own, text=text.text)
            fitted.add(kind)
    return found or {"the run's captions": own}, fitted


def arms_of(
    evaluated: Evaluated, test: Trials, outputs: dict[str, Tensor], pipeline: Any, options: AblationOptions
) -> list[Arm]:
    """Return every way of drawing the test windows: table 3's rows, then the controls."""
    levels, fitted = sample_levels(evaluated, test, outputs, pipeline, options)
    first = next(iter(levels.values()))
    assert first.start is not None
    assert first.mean_start is not None
    n, start = len(test), first.start
    order = np.random.default_rng([options.seed, 32]).permutation(n)
    another = np.empty(n, dtype=np.int64)
    another[order] = np.roll(order, 1)  # nobody keeps their own

    def prompted(captions: list[str]) -> Levels:
        context, pooled = prompt_encoder(pipeline)(captions)
        return Levels(Conditioning("prompts", context=context, pooled=pooled))

    captions = label_captions(evaluated.trials, options.label_caption)
    name_of = dict(zip(evaluated.trials.label.tolist(), captions.tolist(), strict=True))
    labels, source = classify_plainly(evaluated, test)
    guessed = [name_of[label] for label in labels.tolist()]
    empty = empty_prompt(pipeline, n)
    arms = [Arm("pixel only", replace(first, text=empty))]
    other = "text head fitted in closed form on the run's frozen features: the run learned the other captions"
    notes = {kind: other if kind in fitted else "" for kind in levels}
    arms += [Arm(f"sample only, {kind}", Levels(level.text), note=notes[kind]) for kind, level in levels.items()]
    arms += [Arm(f"both, {kind}", level, note=notes[kind]) for kind, level in levels.items()]
    kind = next(iter(levels))
    return [
        *arms,
        Arm(f"both, {kind}, mean-map pixel level", replace(first, start=first.mean_start.expand_as(start)), True),
        Arm(f"both, {kind}, another trial's pixel level", replace(first, start=start[torch.from_numpy(another)]), True),
        Arm("pixel only, mean map", Levels(empty, first.mean_start.expand_as(start)), True),
        Arm("pixel level as it is, not redrawn", first, True, start),
        Arm(
            "plain EEG classifier + prompt", prompted(guessed), True, note=f"ridge regression from {source} to classes"
        ),
        Arm("true label + prompt, no EEG", prompted([name_of[label] for label in test.label.tolist()]), True),
    ]


def draw_arm(pipeline: Any, arm: Arm, denoise: float, options: AblationOptions) -> Tensor:
    """Return an arm's pictures (n, 3, H, W); every arm draws window i with the same noise."""
    if arm.pictures is not None:
        return arm.pictures
    assert arm.levels.text.context is not None
    with tqdm(total=len(arm.levels.text.context), desc=arm.name) as bar:
        return draw_levels(
            pipeline, arm.levels, denoise=denoise, steps=options.steps, guidance=options.guidance, seed=options.seed,
            progress=lambda done: bar.update(done - bar.n),
        )  # fmt: skip
