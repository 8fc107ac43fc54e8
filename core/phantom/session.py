"""A sitting of the phantom in one call: scenes from words or pictures, shown to a simulated brain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..files import PHANTOM as WORLD
from ..files import text_lines
from ..preprocessing.selection import Selection
from ..recording import Recording
from .scenes import COLOURS, PLACES, SHAPES, SIZES, Scene, all_scenes, draw, split_scenes

if TYPE_CHECKING:
    from .judge import Judge

MAX_PRESENTATIONS = 20_000
MAX_CHANNEL_PRESENTATIONS = 400_000  # of a second each: a gigabyte or two while it is simulated
PICTURES_AT_ONCE = 16
_ORDER = 31  # the order's own stream of the seed; the brain has 11 to 23


@dataclass(frozen=True, eq=False)
class Sitting:
    """A simulated recording with what was shown in it; nothing here is brain data.

    recording: its events are labelled with the scenes' captions. scenes: each distinct one once, in the order given.
    pictures: uint8 (64, 64, 3), one for each of `scenes`.
    """

    recording: Recording
    pictures: tuple[np.ndarray, ...]
    scenes: tuple[Scene, ...]


def scenes_from_captions(text: str) -> list[Scene]:
    """Return the scenes that captions name, one a line; blank lines, case, spaces and a missing "a" do not matter.

    Raises ValueError with the line and the vocabulary where a line names no scene, or there is no line.
    """
    known = {scene.id.replace("-", " "): scene for scene in all_scenes()}
    found: list[Scene] = []
    for number, line in enumerate(text_lines(text), 1):
        words = line.lower().replace("-", " ").replace(",", " ").strip(" .\t").split()
        if not words:
            continue
        scene = known.get(" ".join(words[1:] if words[0] in ("a", "an", "the") else words))
        if scene is None:
            raise ValueError(f"line {number}, {line.strip()!r}, is no scene of the phantom. {_vocabulary()}")
        found.append(scene)
    if not found:
        raise ValueError(f"no caption given. {_vocabulary()}")
    return found


def scenes_in_pictures(pictures: np.ndarray) -> list[Scene]:
    """Return the phantom's scene that each picture is most like, by the phantom's judge.

    pictures: uint8 (n, height, width, 3), of any size. Raises ValueError for another shape, FileNotFoundError where the
    judge is missing.
    """
    import torch

    from .judge import ATTRIBUTES, judge_pictures

    pictures = np.asarray(pictures)
    if pictures.ndim != 4 or pictures.shape[-1] != 3 or 0 in pictures.shape or pictures.dtype != np.uint8:
        raise ValueError(f"pictures must be uint8 (n, height, width, 3); got {pictures.dtype} {pictures.shape}")
    found: list[Scene] = []
    for begin in range(0, len(pictures), PICTURES_AT_ONCE):
        part = torch.from_numpy(np.array(pictures[begin : begin + PICTURES_AT_ONCE]))
        judged = judge_pictures(_judge(), part.permute(0, 3, 1, 2).float() / 255)
        for i in range(len(part)):
            found.append(Scene(**{name: values[judged[name][i]] for name, values in ATTRIBUTES.items()}))
    return found


def training_scenes(count: int, seed: int = 0) -> list[Scene]:
    """Return that many different scenes of the training split, drawn by `seed`; no test scene is among them."""
    scenes = split_scenes()["train"]
    _check_seed(seed)
    if not 1 <= count <= len(scenes):
        raise ValueError(f"there are 1 to {len(scenes)} scenes to train on; got {count}")
    return [scenes[i] for i in np.random.default_rng([seed, _ORDER]).permutation(len(scenes))[:count]]


def show(
    scenes: Sequence[Scene],
    *,
    repeats: int = 1,
    montage: str = "epoc-14",
    snr: float = 0.35,
    subject: int = 0,
    seed: int = 0,
) -> Sitting:
    """Show scenes to a simulated person, each `repeats` times: once in the order given, then shuffled by `seed`.

    montage, snr, subject: see `brain.BrainConfig`. seed: of the noise, the onsets and the order. Raises ValueError for
    no scene, too many presentations, or a value outside its range.
    """
    from ..montage import MONTAGES
    from .brain import simulate_recording
    from .brain_config import BrainConfig

    config = BrainConfig(montage=montage, snr=snr, subject=subject)
    _check_seed(seed)
    if not scenes or repeats < 1:
        raise ValueError(f"nothing to show: {len(scenes)} scenes, {repeats} times each; give at least one, once")
    n_channels = len(MONTAGES[montage])
    most = min(MAX_PRESENTATIONS, MAX_CHANNEL_PRESENTATIONS // n_channels)
    if len(scenes) * repeats > most:
        raise ValueError(
            f"{len(scenes)} scenes shown {repeats} times are {len(scenes) * repeats} presentations; at most {most} can "
            f"be simulated with the {n_channels} channels of {montage}. Give fewer scenes or fewer repeats"
        )
    again = list(scenes) * (repeats - 1)
    order = np.random.default_rng([seed, _ORDER]).permutation(len(again))
    # The first round is not shuffled: averages by label, in order of appearance, then stand in the order of `pictures`.
    presented = [*scenes, *(again[i] for i in order)]
    recording = simulate_recording(presented, config, seed)
    events = tuple(
        replace(event, label=scene.caption) for event, scene in zip(recording.events, presented, strict=True)
    )
    distinct = tuple(dict.fromkeys(scenes))
    return Sitting(replace(recording, events=events), tuple(draw(scene) for scene in distinct), distinct)


def pictures_shown(selection: Selection) -> list[np.ndarray | None]:
    """Return the scene (64, 64, 3) that each selected window of a simulated recording is labelled with, uint8.

    None for a window whose label names no scene; only None for a recording that was not simulated, whatever its labels.
    """
    notes = selection.recording.source.get("notes", ())
    if not any("simulated" in str(note) for note in notes):
        return [None] * len(selection)
    known = {name: scene for scene in all_scenes() for name in (scene.caption, scene.id)}
    return [draw(known[label]) if label in known else None for label in selection.labels]


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more")


def _vocabulary() -> str:
    return (
        f"Write one a line as `a SIZE COLOUR SHAPE PLACE`. Sizes: {', '.join(SIZES)}; colours: {', '.join(COLOURS)}; "
        f"shapes: {', '.join(SHAPES)}; places: {', '.join(PLACES)}"
    )


@lru_cache(maxsize=1)
def _judge() -> Judge:
    from .judge import load_judge

    return load_judge(WORLD)
