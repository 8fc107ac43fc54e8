"""Fitting the affine map behind an image encoder to odd-one-out judgements, and what it is worth on held-out ones."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from ..targets.image_encoders.affine import Affine
from .objective import choice_accuracy, choice_loss, distance_to_identity, neighbour_loss
from .triplets import CHANCE

BATCH = 512
NEIGHBOURS = 256  # pictures whose neighbourhoods are compared in a step
SCALES = np.geomspace(0.25, 64.0, 17)  # of all dot products, before the map is fitted
RESAMPLES = 1000
ALPHA = 0.01  # held-out answers that are as probable as this by guessing are no evidence


@dataclass(frozen=True)
class AlignmentSettings:
    """How the map is fitted: (1 − local) · choices + local · neighbours + regularisation · distance to identity."""

    local: float = 0.05
    regularisation: float = 1e-4
    temperature: float = 0.1
    epochs: int = 30
    learning_rate: float = 1e-2
    seed: int = 0


@dataclass(frozen=True)
class Evidence:
    """What held-out triplets say: accuracies with 95 % intervals (bootstrap over triplets), and p against guessing."""

    n_train: int
    n_held_out: int
    unaligned: float
    aligned: float
    aligned_interval: tuple[float, float]
    gain_interval: tuple[float, float]
    p_value: float

    @property
    def found(self) -> bool:
        """Tell whether the held-out judgements are told better than by guessing."""
        return self.aligned > CHANCE and self.p_value < ALPHA


def fit_affine(rows: np.ndarray, train: np.ndarray, settings: AlignmentSettings) -> Affine:
    """Fit the map to training triplets; it starts as the identity, scaled as suits the choices best.

    rows: (n_pictures, width) features, of which only those of training triplets are looked at. train: (n, 3). Raises
    ValueError where all features are the same.
    """
    used = np.unique(train)
    own = rows[used].astype(np.float32)
    mean = own.mean(axis=0)
    std = np.sqrt(np.mean(np.sum((own - mean) ** 2, axis=1, dtype=np.float64)))
    if not np.isfinite(std) or std < 1e-12:
        raise ValueError("the features of all pictures are the same; there is nothing to align")
    x = torch.from_numpy((own - mean) / np.float32(std))
    triplets = torch.from_numpy(np.searchsorted(used, train))
    generator = torch.Generator().manual_seed(settings.seed)
    losses = [float(choice_loss(x * scale**0.5, triplets)) for scale in SCALES]
    start = float(SCALES[int(np.argmin(losses))]) ** 0.5
    weights = (start * torch.eye(x.shape[1])).requires_grad_()
    bias = torch.zeros(x.shape[1], requires_grad=True)
    optimiser = torch.optim.Adam([weights, bias], lr=settings.learning_rate * start)
    steps = settings.epochs * -(-len(triplets) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
    for _ in range(settings.epochs):
        for part in torch.randperm(len(triplets), generator=generator).split(BATCH):
            loss = (1 - settings.local) * choice_loss(x @ weights + bias, triplets[part])
            if settings.local:
                near = torch.randperm(len(x), generator=generator)[:NEIGHBOURS]
                loss = loss + settings.local * neighbour_loss(x[near], x[near] @ weights + bias, settings.temperature)
            loss = loss + settings.regularisation * distance_to_identity(weights)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return Affine(weights.detach().numpy(), bias.detach().numpy(), mean, np.array(std, np.float32))


def evidence_of(rows: np.ndarray, affine: Affine, train: np.ndarray, held_out: np.ndarray) -> Evidence:
    """Score held-out triplets with the map and without it (the same centring, no directions weighed)."""
    x = torch.from_numpy(np.asarray(rows, np.float32))
    triplets = torch.from_numpy(held_out)
    plain = choice_accuracy(_centred(x, affine), triplets).numpy()
    mapped = choice_accuracy(affine(x), triplets).numpy()
    rng, both = np.random.default_rng(0), np.stack([mapped, mapped - plain], axis=1)
    drawn = np.stack([both[rng.integers(0, len(both), len(both))].mean(axis=0) for _ in range(RESAMPLES)])
    return Evidence(
        n_train=len(train),
        n_held_out=len(held_out),
        unaligned=float(plain.mean()),
        aligned=float(mapped.mean()),
        aligned_interval=_interval(drawn[:, 0]),
        gain_interval=_interval(drawn[:, 1]),
        p_value=float(binomtest(round(mapped.sum()), len(mapped), CHANCE, alternative="greater").pvalue),
    )


def _centred(x: Tensor, affine: Affine) -> Tensor:
    return (x - torch.from_numpy(affine.mean)) / torch.from_numpy(affine.std)


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
