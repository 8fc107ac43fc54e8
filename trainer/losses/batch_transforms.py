"""Batch transforms: what is done to a training batch after it has been drawn, such as mixing its rows.

A transform is one function and one row here. It takes a `Batch` and a generator of its own, which follows from the
seed, the epoch and the batch's number alone, so that a resumed run repeats it; it must draw from nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.registry import registry


@dataclass(frozen=True, eq=False)
class Batch:
    """What a step trains on, less the network.

    eeg: (batch, channels, times), normalised. targets: for each space (batch, n_values), or for `prompts` class numbers
    (batch,) or shares of the classes (batch, n_prompts). index: for each space (batch,), the number of each row's
    target, equal for equal targets. n_classes: for each `prompts` space, of how many. shares: (batch, batch), how much
    of each row is in each, where the eeg alone is mixed and the loss shares the labels.
    """

    eeg: Tensor
    targets: dict[str, Tensor]
    index: dict[str, Tensor]
    n_classes: dict[str, int]
    shares: Tensor | None = None


BatchTransform = Callable[[Batch, np.random.Generator], Batch]
TRANSFORM_SEED = 37  # beside those of the batches' order and of the splits
MIXUP_ALPHA = 0.2  # of the Beta distribution; the paper's ImageNet runs use 0.1 to 0.4
MIXCO_ALPHA, MIXED = 0.15, 0.5  # MindEye's Beta distribution, and the share of the rows that are mixed
SMOOTHED, SMOOTH_OVER = 0.3, 5  # SAMGA's share of the channels, and samples
MIXING = ("mixup", "mixco")


def mixup(batch: Batch, rng: np.random.Generator) -> Batch:
    """Return a batch whose rows are mixed with those of another order, eeg and targets by the same share (Zhang et al.,
    "mixup: Beyond Empirical Risk Minimization", ICLR 2018).

    One share a batch, drawn from Beta(0.2, 0.2). Class numbers become shares of the classes. A row of two different
    targets has a number of its own afterwards, for it shares its target with no other.
    """
    n = len(batch.eeg)
    share = float(rng.beta(MIXUP_ALPHA, MIXUP_ALPHA))
    order = torch.tensor(rng.permutation(n).tolist(), device=batch.eeg.device)

    def mixed(rows: Tensor) -> Tensor:
        return share * rows + (1 - share) * rows[order]

    targets: dict[str, Tensor] = {}
    index: dict[str, Tensor] = {}
    for space, target in batch.targets.items():
        shares = F.one_hot(target, batch.n_classes[space]).float() if space in batch.n_classes else target
        number = batch.index[space]
        own = -1 - torch.arange(n, device=number.device)
        targets[space], index[space] = mixed(shares), torch.where(number == number[order], number, own)
    return Batch(mixed(batch.eeg), targets, index, batch.n_classes)


def mixco(batch: Batch, rng: np.random.Generator) -> Batch:
    """Return a batch in which half of the rows' eeg is mixed with another row's, each by a share of its own drawn from
    Beta(0.15, 0.15); targets stay as they are, and contrastive losses share the labels (Kim et al. 2020; MindEye).

    Losses that want one target a row get the mixed one.
    """
    n = len(batch.eeg)
    order = rng.permutation(n)
    share = np.where(rng.random(n) < MIXED, rng.beta(MIXCO_ALPHA, MIXCO_ALPHA, n), 1.0)
    shares = np.zeros((n, n))
    shares[np.arange(n), np.arange(n)] = share
    shares[np.arange(n), order] += 1 - share
    mix = torch.tensor(shares.tolist(), dtype=batch.eeg.dtype, device=batch.eeg.device)
    eeg = (mix @ batch.eeg.flatten(1)).reshape(batch.eeg.shape)
    return Batch(eeg, batch.targets, batch.index, batch.n_classes, mix)


def smooth(batch: Batch, rng: np.random.Generator) -> Batch:
    """Return a batch in which three channels of ten are replaced by their moving average over five samples, fewer at
    the ends (SAMGA, arXiv 2604.17782, whose code draws them once for a whole training; here each batch has its own).
    """
    eeg = batch.eeg
    chosen = torch.tensor((rng.random(eeg.shape[:2]) < SMOOTHED).tolist(), device=eeg.device)
    means = F.avg_pool1d(eeg, SMOOTH_OVER, stride=1, padding=SMOOTH_OVER // 2, count_include_pad=False)
    return replace(batch, eeg=torch.where(chosen[..., None], means, eeg))


BATCH_TRANSFORMS: dict[str, BatchTransform] = registry(("mixup", mixup), ("mixco", mixco), ("smooth", smooth))


def transforms_named(names: Sequence[str]) -> list[BatchTransform]:
    """Return batch transforms in the order named; an unknown name raises ValueError listing the known ones, as do
    two that mix.
    """
    if unknown := [name for name in names if name not in BATCH_TRANSFORMS]:
        raise ValueError(f"no batch transform {unknown[0]!r}; known: {', '.join(BATCH_TRANSFORMS)}")
    if sum(name in MIXING for name in names) > 1:
        raise ValueError(
            f"--batch-transforms {' '.join(names)}: a batch's rows are mixed once, by {' or '.join(MIXING)}"
        )
    return [BATCH_TRANSFORMS[name] for name in names]


def transformed(batch: Batch, transforms: Sequence[BatchTransform], seed: Sequence[int]) -> Batch:
    """Return a batch after the transforms, in their order.

    seed: whole numbers of at least 0 that tell this batch from every other one of the run.
    """
    for place, transform in enumerate(transforms):
        batch = transform(batch, np.random.default_rng([*seed, place, TRANSFORM_SEED]))
    return batch
