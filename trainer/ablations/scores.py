"""The columns of the ablation: what each way of drawing gets, with intervals, shuffled EEG and chance beside it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from core.scoring.design import Units
from core.scoring.intervals import mean_interval, share_interval
from core.scoring.permutations import permuted_picks
from core.scoring.scores import n_way_accuracy, p_of

from ..evaluation.generation_metrics import (
    N_TRIALS,
    N_WAY,
    cosine_similarity,
    frechet_distance,
    inception_score,
    n_way_shares,
    set_interval,
)
from ..evaluation.picture_classifiers import Classifier, Looked, clip_embeddings, look_at
from ..evaluation.picture_metrics import Metric, pixel_correlation, shuffled_pairs, ssim

SHUFFLES = 200
PIXEL_SHUFFLES = 20
FID_DRAWS = 50
FEWEST_PICTURES = 7  # as few can be dealt in 5,040 ways


@dataclass(frozen=True)
class Score:
    """One cell: `value` with its 95 % `interval`, what `shuffled` EEG and `chance` get, p against the shuffles; None
    where it has no meaning. `each`: the pictures' own values (n,), where the value is their mean.
    """

    value: float
    interval: tuple[float, float]
    shuffled: float | None = None
    chance: float | None = None
    p_value: float | None = None
    each: np.ndarray | None = field(default=None, repr=False)

    def to_json(self) -> dict:
        """Return the numbers without the pictures' own values."""
        return {
            "value": self.value, "interval": list(self.interval), "shuffled": self.shuffled, "chance": self.chance,
            "p_value": self.p_value,
        }  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """The truth that drawn pictures are held against.

    pictures: (n, 3, H, W) in [0, 1]. looked: what the classifier sees in them; its best class is the truth of ACC.
    image_id: (n,), pictures of one id are resampled together. place: (n,) true places, or None where unknown. clip:
    CLIP vectors (n, width), or None.
    """

    pictures: Tensor
    looked: Looked
    image_id: np.ndarray
    place: np.ndarray | None = None
    clip: np.ndarray | None = None


def n_way_of(classifier: Classifier) -> int:
    """Return how many ways ACC has: 50, or all the classes where there are fewer."""
    return min(N_WAY, len(classifier.classes))


def mean_score(
    each: np.ndarray, value: float, shuffled: np.ndarray, groups: np.ndarray, chance: float | None = None
) -> Score:
    """Return the score that is the mean of the pictures' own values, each (n,).

    value: what is compared with `shuffled` (n_shuffles,), the same figure where pictures and truths are mixed up. The
    interval is Wilson's for shares of right answers, else t; pictures of one group (n,) count once.
    """
    interval = share_interval(each, groups) if ((each >= 0) & (each <= 1)).all() else mean_interval(each, groups)
    return Score(float(each.mean()), interval, float(shuffled.mean()), chance, p_of(value, shuffled), each)


def from_pairs(
    pairs: np.ndarray, groups: np.ndarray, chance: float | None = None, each: np.ndarray | None = None
) -> Score:
    """Return a score from what drawn picture i would get against the truth of j, pairs (n, n).

    each: (n,), the pictures' own values where they are not the diagonal itself: shares that were sampled.
    """
    rows, units = np.arange(len(pairs)), picture_units(groups)
    shuffled = permuted_picks(pairs, rows[units.first][units.unit], units, SHUFFLES)
    own = pairs[rows, rows].astype(float)
    return mean_score(own if each is None else each, float(own.mean()), shuffled, groups, chance)


def picture_units(groups: np.ndarray) -> Units:
    """Return the pictures of groups (n,) as what is exchanged as a whole; single trials where there are too few."""
    member = np.unique(groups, return_inverse=True)[1].reshape(-1)
    few = member.max() + 1 < FEWEST_PICTURES
    unit = np.arange(len(groups)) if few else member
    return Units("trial" if few else "picture", unit, np.zeros(unit.max() + 1, dtype=np.int64))


def pixel_score(metric: Metric, drawn: Tensor, pictures: Tensor, groups: np.ndarray) -> Score:
    """Return a metric's score of drawn and seen pictures; few shuffles, since each compares every pixel again."""
    each = metric(drawn, pictures).double().numpy()
    shuffled = shuffled_pairs(metric, drawn, pictures, PIXEL_SHUFFLES).double().numpy()
    return mean_score(each, float(each.mean()), shuffled, groups)


def score_pictures(
    drawn: Tensor,
    seen: Seen,
    classifier: Classifier,
    places: Callable[[Tensor], np.ndarray] | None = None,
    clip: str = "",
    seed: int = 0,
) -> dict[str, Score]:
    """Return the ablation's scores of drawn pictures (n, 3, H, W) in [0, 1], by column.

    ACC: N-way top-1 of 1,000 trials. IS, FID: of the whole set. SSIM, pixel correlation. class: the classifier's best
    class is the seen picture's. place: places(pictures) → (n,) is the true place. CLIP: where `clip` names a model.
    """
    looked, n, groups = look_at(classifier, drawn), len(drawn), seen.image_id
    truth, n_way = seen.looked.label, n_way_of(classifier)
    exact = np.stack([n_way_accuracy(looked.probabilities, np.full(n, label), n_way) for label in truth], axis=1)
    shares = n_way_shares(looked.probabilities, truth, n_way, 1, N_TRIALS, seed)
    spread = set_interval(inception_score, looked.probabilities)
    same, features = looked.label[:, None] == truth[None], seen.looked.features
    found = {
        "ACC": from_pairs(exact, groups, 1 / n_way, shares),
        "IS": Score(inception_score(looked.probabilities), spread, chance=1.0),
        "SSIM": pixel_score(ssim, drawn, seen.pictures, groups),
        "class": from_pairs(same, groups, 1 / len(np.unique(truth))),
    }
    if seen.place is not None and places is not None:
        there = np.asarray(places(drawn))[:, None] == seen.place[None]
        found["place"] = from_pairs(there, groups, 1 / len(np.unique(seen.place)))
    found["pixel correlation"] = pixel_score(pixel_correlation, drawn, seen.pictures, groups)
    far = set_interval(frechet_distance, looked.features, features, n_draws=FID_DRAWS)
    found["FID"] = Score(frechet_distance(looked.features, features), far)
    if seen.clip is not None:
        own = clip_embeddings(drawn, clip)
        pairs = np.stack([cosine_similarity(own, np.broadcast_to(row, own.shape)) for row in seen.clip], axis=1)
        found["CLIP"] = from_pairs(pairs, groups)
    return found


def difference(a: Score, b: Score, groups: np.ndarray) -> dict[str, float | list[float]]:
    """Return the mean of a - b over the same pictures and its paired t interval, pictures counting once.

    Raises ValueError where a score is not a mean over pictures.
    """
    if a.each is None or b.each is None:
        raise ValueError("a difference is taken of scores that are means over pictures; IS and FID are of whole sets")
    apart = a.each - b.each
    return {"difference": float(apart.mean()), "interval": list(mean_interval(apart, groups))}
