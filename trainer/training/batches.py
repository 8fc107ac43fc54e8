"""Batches of training trials: shuffled by epoch from the seed alone, repeats averaged as the options say; and what a
step trains on, with its targets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.model.checkpoint import EegEncoder
from core.model.prediction import encode_ready
from core.preprocessing.trials import Trials

from ..config.options import TrainOptions
from ..losses.batch_transforms import Batch, BatchTransform, transformed, transforms_named
from ..losses.objective import Objective
from ..processes.memory import free_bytes, need_of, rows_at_once
from ..processes.together import on_this_machine, shares
from ..targets.target import Target
from .run_folder import tell
from .splits import subject_numbers, subjects_of


@dataclass(frozen=True)
class Batches:
    """The training split, cut into batches, which several processes share.

    rows: trial indices (n,). average: "none", "all" or "random" (each epoch averages a random subset of a picture's
    repeats, which shows the encoder every level of noise from one repeat to all). batch: rows of one batch, in all
    processes together; a last one of fewer than `least` is left out, since batch norm needs two and every process one.
    seed: with the epoch's number it fixes order and subsets, so that an interrupted run repeats exactly. by_picture: a
    picture's items, of all people, follow one another, so that they meet in one batch.
    """

    trials: Trials
    rows: np.ndarray
    average: str
    batch: int
    seed: int
    least: int = 2
    by_picture: bool = False

    @cached_property
    def members(self) -> list[np.ndarray]:
        """Return the trials that make one item: single trials, or all repeats of a picture for one subject."""
        if self.average == "none":
            return list(self.rows[:, None])
        _, group = self.trials.select_columns(self.rows).groups("subject", "image_id")
        order = np.argsort(group, kind="stable")
        cuts = np.flatnonzero(np.diff(group[order])) + 1
        return [np.sort(part) for part in np.split(self.rows[order], cuts)]

    def epoch(
        self, number: int, encoder: EegEncoder, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, np.ndarray]]:
        """Yield normalised eeg (batch, channels, times) and the trial whose target each row has: of each batch the
        rows that are dealt out to one process of `world`.
        """
        rng = np.random.default_rng([self.seed, number, 17])
        members = self.members
        order = rng.permutation(len(members))
        if self.by_picture:
            pictures = np.unique(self.trials.image_id[[m[0] for m in members]], return_inverse=True)[1].reshape(-1)
            order = order[np.argsort(rng.permutation(pictures.max() + 1)[pictures[order]], kind="stable")]
        sizes = np.array([len(member) for member in members])
        takes = rng.integers(1, sizes + 1) if self.average == "random" else sizes
        subsets = [rng.permutation(member)[:take] for member, take in zip(members, takes, strict=True)]
        for place, size in enumerate(self.sizes):
            items = order[place * self.batch : place * self.batch + size][rank::world]
            wanted = np.concatenate([subsets[i] for i in items])
            lengths = np.array([len(subsets[i]) for i in items])
            cut = np.asarray(self.trials.eeg[wanted])
            eeg = means_of(cut, lengths) if len(cut) != len(items) else cut
            yield encode_ready(encoder, eeg.astype(np.float32, copy=False)), np.array([subsets[i][0] for i in items])

    @cached_property
    def sizes(self) -> list[int]:
        """Return how many rows each batch of an epoch has, in all processes together."""
        whole, rest = divmod(len(self.members), self.batch)
        return [self.batch] * whole + [rest] * (rest >= self.least)

    def count(self) -> int:
        """Return how many batches make an epoch."""
        return len(self.sizes)


def means_of(windows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the mean (k, n_channels, n_times) of windows that follow one another, so many for each row (k,)."""
    if len(np.unique(lengths)) == 1:  # several times faster than sums of unlike numbers, and the same sums
        sums = windows.reshape(len(lengths), int(lengths[0]), *windows.shape[1:]).sum(axis=1)
    else:
        sums = np.add.reduceat(windows, np.r_[0, np.cumsum(lengths)[:-1]])
    return sums / lengths[:, None, None]


@dataclass(frozen=True, eq=False)
class Drawn:
    """The batches of an epoch as this process trains on them: its own rows, with targets, on its device.

    batches: of all processes together. objective: it says how far each picture is blurred. target_rows: for each
    regression space the target row of every trial. subjects: who training knows, sorted.
    """

    batches: Batches
    encoder: EegEncoder
    objective: Objective
    targets: dict[str, Target]
    target_rows: dict[str, np.ndarray]
    subjects: tuple[str, ...]
    transforms: list[BatchTransform]
    device: torch.device
    rank: int
    world: int

    @staticmethod
    def of(
        encoder: EegEncoder,
        objective: Objective,
        trials: Trials,
        train: np.ndarray,
        targets: dict[str, Target],
        options: TrainOptions,
        accelerator: Any,
    ) -> "Drawn":
        """Return what is drawn from the training split; raises ValueError where that makes no batch."""
        settings, world = options.training, accelerator.num_processes
        whole, by_picture = settings.batch * world, settings.batch_by == "picture"
        made = Batches(trials, train, options.data.average, whole, settings.seed, max(2, world), by_picture)
        if not made.count():
            raise ValueError(
                f"{len(train)} training trials make no batch of at least two; lower --batch or gather more trials"
            )
        if world > 1 and accelerator.is_main_process:
            tell(f"{world} processes train as one on batches of {world} x {settings.batch} = {made.batch} rows")
        rows = {space: target.rows(trials) for space, target in targets.items()}
        transforms = transforms_named(settings.batch_transforms)
        place = (accelerator.device, accelerator.process_index, world)
        return Drawn(
            made, encoder, objective, targets, rows, encoder.people or subjects_of(trials, train), transforms, *place
        )

    def part(self) -> int:
        """Return how many rows of a batch go at a time, 0 for all of them; what a step takes is said where it is
        much.
        """
        rows = shares(self.batches.sizes[0], self.world)[0]
        two = encode_ready(self.encoder, np.asarray(self.batches.trials.eeg[self.batches.rows[:2]])).to(self.device)
        part, said = rows_at_once(
            need_of(self.encoder, two), rows, free_bytes(self.device) // max(1, on_this_machine())
        )
        if said:
            tell(said)
        return part

    def epoch(self, number: int) -> Iterator[tuple[Batch, Tensor | None]]:
        """Yield this process's rows of each batch, and who each of them is of."""
        # What mixes the rows of a batch must see all of them.
        rank, world = (0, 1) if self.transforms else (self.rank, self.world)
        trials = self.batches.trials
        for place, (eeg, chosen) in enumerate(self.batches.epoch(number, self.encoder, rank, world)):
            wanted, index = batch_targets(self.encoder, trials, self.target_rows, self.targets, chosen, self.device)
            for space in wanted:
                if (blur := self.objective.blur_of(space)) is not None:
                    wanted[space] = self.targets[space].at_levels(index[space].cpu(), blur.level.cpu()).to(self.device)
            batch = Batch(eeg.to(self.device), wanted, index, n_classes_of(self.encoder))
            who = subject_numbers(trials, chosen, self.subjects, self.device)
            if self.transforms:
                batch = transformed(batch, self.transforms, (self.batches.seed, number, place, 0))
                batch = own_rows(batch, self.rank, self.world)
                who = None if who is None else who[self.rank :: self.world]
            yield batch, who


def own_rows(batch: Batch, rank: int, world: int) -> Batch:
    """Return one process's rows of a whole batch, dealt out one by one."""
    targets, index = (
        {space: rows[rank::world] for space, rows in part.items()} for part in (batch.targets, batch.index)
    )
    mixed = None if batch.shares is None else batch.shares[rank::world]
    return Batch(batch.eeg[rank::world], targets, index, batch.n_classes, mixed)


def batch_targets(
    encoder: EegEncoder,
    trials: Trials,
    rows: dict[str, np.ndarray],
    targets: dict[str, Target],
    chosen: np.ndarray,
    device: torch.device,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return each space's targets and target numbers for the chosen trials, on the device.

    rows: for each regression space the target row of every trial; a `prompts` head takes the trials' labels.
    """
    wanted, index = {}, {}
    for space in encoder.spaces:
        number = torch.from_numpy(rows[space][chosen] if space in targets else trials.label[chosen])
        wanted[space] = (targets[space].values[number] if space in targets else number).to(device)
        index[space] = number.to(device)
    return wanted, index


def n_classes_of(encoder: EegEncoder) -> dict[str, int]:
    """Return of how many classes each `prompts` head chooses, by space."""
    return {
        space: len(encoder.head(space).config.prompts)
        for space in encoder.spaces
        if encoder.head(space).config.kind == "prompts"
    }
