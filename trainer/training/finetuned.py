"""Going on from another encoder's file: its weights, this store's normaliser, and prompts brought together by their
text.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from core.encoders import by_gradient_descent, encoder_named
from core.model.checkpoint import EegEncoder, load_encoder
from core.model.heads import ONE_TOKEN, Head
from core.model.person_layers import PersonLayers
from core.preprocessing.config import PreprocessingConfig

from ..config.flags import with_flags
from ..config.options import TrainOptions
from ..targets.target import Target
from .run_folder import tell

MOST_LOST = 0.5  # of a picture's values, at the ends of its range


def with_file_heads(options: TrainOptions) -> TrainOptions:
    """Return options whose architecture and target spaces are those of the file to fine-tune; as they are where there
    is none.
    """
    if options.stages.finetune.file is None:
        return options
    encoder = load_encoder(options.stages.finetune.file)
    return with_flags(options, space=encoder.spaces, encoder=encoder.architecture)


def finetuned(
    stored: PreprocessingConfig,
    options: TrainOptions,
    targets: dict[str, Target],
    prompts: Callable[[], tuple[str, ...]],
) -> EegEncoder:
    """Return the file's encoder for a store's windows and targets, its normaliser still its own.

    stored: the store's preprocessing. prompts: gives one for each label of the store, in the labels' order; a `prompts`
    head answers with these from then on. Those that the file's head knows keep their weights, whatever place they had;
    new ones start untrained, and others go; which is printed. Raises ValueError where the file does not match.
    """
    file = options.stages.finetune.file
    assert file is not None
    encoder = load_encoder(file).requires_grad_(True)
    _check_same_windows(encoder.preprocessing, stored)
    for place, head in enumerate(encoder.heads):
        kind, space = head.config.kind, head.config.space
        if kind in ONE_TOKEN and kind != options.targets.head:
            raise ValueError(f"the encoder to fine-tune has a {kind!r} head; its targets need --head {kind}")
        if kind == "prompts":
            encoder.heads[place] = _for_prompts(encoder, head, prompts(), options.training.seed)
        elif space in targets and targets[space].shape != head.config.shape:
            raise ValueError(
                f"the encoder to fine-tune predicts {space} of shape {head.config.shape}, the targets have "
                f"{targets[space].shape}; give the same --clip, --vae, --latent-size or --picture-size as it had"
            )
    # Calibration belongs to the person it was fitted on.
    encoder.confidence = {}
    return encoder


def add_people(encoder: EegEncoder, subjects: tuple[str, ...], asked: bool) -> None:
    """Give an encoder with layers a person, or where they are asked for, a layer for each of these people whom it does
    not know; a new one starts as the mean of the others, or as the identity where there are none.

    An architecture with a part a person of its own keeps the people of its file; others stay unknown to it.
    """
    row = encoder_named(encoder.architecture)
    if encoder.personal is None:
        if not asked:
            return
        check_person_layers(encoder.architecture, subjects)
    if not any(subjects):
        return
    known = encoder.people if encoder.personal is not None or row.tells_people_apart else ()
    new = tuple(name for name in subjects if name not in known)
    if row.tells_people_apart and known:
        new = ()
    if encoder.personal is None:
        encoder.personal = PersonLayers(len(known) + len(new), encoder.preprocessing.n_times)
    elif new:
        encoder.personal = encoder.personal.of_people([*range(len(known)), *(-1 for _ in new)])
    encoder.people = (*known, *new)
    encoder.personal.requires_grad_(True)
    if new:
        tell(f"layers for new people: {', '.join(new)}")


def check_person_layers(architecture: str, subjects: tuple[str, ...]) -> None:
    """Raise ValueError where layers a person cannot be trained: in closed form, or with nobody named."""
    if encoder_named(architecture).fit is not None:
        raise ValueError(
            f"--person-layers are trained by gradient descent, and {architecture!r} is fitted in closed form; use "
            f"--encoder {' or '.join(by_gradient_descent())}"
        )
    if not any(subjects):
        raise ValueError("--person-layers need who each trial is from: prepare the store with its subjects")


def _for_prompts(encoder: EegEncoder, head: Head, prompts: tuple[str, ...], seed: int) -> Head:
    """Return a head for these prompts, with the rows of those that a head knows."""
    known = list(head.config.prompts)
    if tuple(known) == prompts:
        return head
    torch.manual_seed(seed)
    made = Head(replace(head.config, prompts=prompts), encoder.backbone.n_tokens, encoder.backbone.width)
    state = made.state_dict()
    left, new = list(range(len(known))), []
    for row, prompt in enumerate(prompts):
        place = next((number for number in left if known[number] == prompt), None)
        if place is None:
            new.append(prompt)
            continue
        left.remove(place)
        for name in ("last.weight", "last.bias"):
            state[name][row] = head.state_dict()[name][place]
    kept = {name: value for name, value in head.state_dict().items() if not name.startswith("last.")}
    made.load_state_dict({**state, **kept})
    said = [f"prompts of the file kept: {_listed([prompt for prompt in prompts if prompt not in new])}"]
    said += [f"new in this store, untrained: {_listed(new)}"] if new else []
    said += [f"of the file but not in this store, left out: {_listed([known[number] for number in left])}"] * bool(left)
    tell("; ".join(said))
    return made.requires_grad_(True)


def _listed(prompts: list[str], most: int = 12) -> str:
    more = f" and {len(prompts) - most} more" if len(prompts) > most else ""
    return (", ".join(repr(prompt) for prompt in prompts[:most]) or "none") + more


def _check_same_windows(wanted: PreprocessingConfig, stored: PreprocessingConfig) -> None:
    names = ("ch_names", "sfreq", "tmin", "tmax", "l_freq", "h_freq", "notch", "reference", "baseline")
    for name in names:
        if getattr(wanted, name) != getattr(stored, name):
            raise ValueError(
                f"the encoder to fine-tune was trained with {name} {getattr(wanted, name)}, "
                f"the store has {getattr(stored, name)}; "
                "prepare the store with the encoder's preprocessing"
            )


def check_shown(encoder: EegEncoder, eeg: torch.Tensor) -> None:
    """Raise ValueError where the file's spectrogram shows this store's windows (n, channels, times) as one colour."""
    if encoder.spectrogram is None or encoder.spectrogram.config.kind != "stft":
        return
    pictures = encoder.spectrogram(eeg).numpy()
    lost = float(np.mean((pictures <= 0) | (pictures >= 1)))
    if lost > MOST_LOST:
        config = encoder.spectrogram.config
        raise ValueError(
            f"the encoder to fine-tune draws {config.min_db:g} to {config.max_db:g} dB, outside of which {lost:.0%} of "
            "this store's levels lie; train a new encoder, whose range is measured"
        )
