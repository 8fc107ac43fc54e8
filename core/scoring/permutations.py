"""Permutation tests: what a score is when labels and EEG have nothing to do with each other, and p against it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .design import Units, least_p
from .scores import Statistic, auc_of_ranks, mean_ranks, p_of

PERMUTATIONS = 2000
LABELS_DRAWN = 1 << 24
FEWEST_REFITS, FEWEST_LINKED, MOST_REFITS = 6, 10, 20
UNCLEAR = (0.002, 0.15)  # p between these is worth refits
# By how much the variance of a mean over folds exceeds what shuffles of the tested labels show, on noise. A decoder
# that answers by the mean of its training trials counts each pair of trials twice, once in each direction: two. One
# whose features know their labels repeats itself less.
SHARED_AT_MOST, SHARED_BY_LINEAR, SHARED_BY_LABELS = 2.0, 1.9, 1.3
WORTH = 10  # as how many refits what is usual counts
OF_SIGNS = 2 / np.pi  # how much of a weak correlation of two Gaussian scores their signs keep
AWAY = 4.0  # squared standard deviations from the null at which an interval takes the mean of both inflations


@dataclass(frozen=True)
class Null:
    """What was found where nothing is related.

    p_value: one-sided, never 0 (Phipson & Smyth 2010). mean: the score of shuffled labels. n_drawn: shuffles. least:
    the smallest p these shuffles and this design can show. unit: what was shuffled as a whole. inflation: variance over
    that of shuffles without refitting. n_refits: shuffles to which the decoder was fitted anew. shared: it is of folds
    that share training trials.
    """

    p_value: float
    mean: float
    n_drawn: int
    least: float
    unit: str = "trial"
    inflation: float = 1.0
    n_refits: int = 0
    shared: bool = False

    def spread_at(self, observed: float, permuted: np.ndarray, far: float = SHARED_AT_MOST) -> float:
        """Return the inflation of an interval about an observed score: at the null what the null shows, well above it
        `far`, by default the most that it can be, since there decoders also differ by what they learnt.
        """
        if not self.shared:
            return 1.0
        variance = float(permuted.var()) * self.inflation
        away = (observed - self.mean) ** 2 / variance if variance > 0 else np.inf
        return float(self.inflation + (far - self.inflation) * (1 / (1 + AWAY / away) if away > 0 else 0.0))

    def text(self) -> str:
        """Return p with what it rests on, in a few words."""
        refits = f", {self.n_refits} refits" if self.n_refits else ""
        low = f"; no less than {self.least:.2g} is possible" if self.p_value <= 4 * self.least else ""
        return f"p = {self.p_value:.2g} ({self.n_drawn} shuffles of {self.unit}s{refits}{low})"


def how_many(n_trials: int, wanted: int = PERMUTATIONS) -> int:
    """Return how many shuffles to draw of so many trials: `wanted`, fewer of very many, but 999 at least."""
    return max(min(wanted, 999), min(wanted, LABELS_DRAWN // max(n_trials, 1)))


def permuted_by_units(
    scores: np.ndarray, truth: np.ndarray, statistic: Statistic, units: Units, n: int = PERMUTATIONS, seed: int = 0
) -> np.ndarray:
    """Return statistic(scores, relabelled truth) for n shuffles of whole units, float64 (n,)."""
    scores, rng = np.asarray(scores), np.random.default_rng(seed)
    return np.array([statistic(scores, given) for some in units.shuffles(truth, n, rng) for given in some])


def permuted_picks(
    values: np.ndarray, truth: np.ndarray, units: Units, n: int = PERMUTATIONS, seed: int = 0
) -> np.ndarray:
    """Return the mean of values[i, relabelled truth[i]] for n shuffles of whole units, float64 (n,): values
    (n_trials, n_labels).
    """
    rows, rng = np.arange(len(truth)), np.random.default_rng(seed)
    return np.concatenate([values[rows, some].mean(axis=1) for some in units.shuffles(truth, n, rng)])


def permuted_aucs(
    scores: np.ndarray, truth: np.ndarray, fold: np.ndarray, units: Units, n: int = PERMUTATIONS, seed: int = 0
) -> np.ndarray:
    """Return the mean over folds (n_trials,) of the ROC-AUC of scores (n_trials,) for n shuffles of truth, (n,).

    Shuffles that leave a fold with one class are left out.
    """
    rows = [np.flatnonzero(fold == name) for name in np.unique(fold)]
    ranks = [mean_ranks(np.asarray(scores)[r])[:, None] for r in rows]
    found = np.concatenate(
        [
            np.mean([auc_of_ranks(rank, given[:, r].T) for rank, r in zip(ranks, rows, strict=True)], axis=0)
            for given in units.shuffles(np.asarray(truth).astype(bool), n, np.random.default_rng(seed))
        ]
    )
    return found[np.isfinite(found)]


def null_of(
    observed: float,
    permuted: np.ndarray,
    units: Units,
    truth: np.ndarray,
    *,
    shared: bool = False,
    usual: float = SHARED_AT_MOST,
    refit: Callable[[np.ndarray], float] | None = None,
    refit_units: Units | None = None,
    refit_truth: np.ndarray | None = None,
    linked: bool = False,
    seed: int = 0,
) -> Null:
    """Return the null of an observed score, whose shuffles without refitting are `permuted` (n,).

    shared: the score is of folds whose decoders share training trials, so that shuffling the tested labels alone shows
    too little spread; `usual` is by how much. refit: labels → the score of decoders fitted anew, for `refit_truth`
    (default truth) shuffled by `refit_units` (default units). Where p is not clear whatever the spread, six to twenty
    of them tell it, together with what is usual, and every shuffle is widened to it, as uncertain as so few leave it.
    linked: units stand on both sides (pictures that training and test show), so that a decoder may know them again:
    then refits alone tell the null's mean and spread.
    """
    middle, n = float(permuted.mean()), len(permuted)
    wide = units if refit_units is None else refit_units
    label = truth if refit_truth is None else refit_truth
    least = least_p(n, max(wide.arrangements(label), units.arrangements(truth)))

    def p_at(inflation: float, freedom: float = np.inf) -> float:
        scale = np.sqrt(np.full(n, inflation))
        if np.isfinite(freedom):
            scale *= np.sqrt(freedom / np.random.default_rng([seed, 1]).chisquare(freedom, n))
        return max(p_of(observed, middle + scale * (permuted - middle)), least)

    def found(p_value: float, inflation: float, squares: Sequence[float] = ()) -> Null:
        return Null(p_value, middle, n, least, units.name, inflation, len(squares), shared)

    alone, rng = float(permuted.var()), np.random.default_rng([seed, 2])
    relabelled = (given for some in wide.shuffles(label, MOST_REFITS, rng) for given in some)
    if not shared:
        return found(p_at(1.0), 1.0)
    if refit is None or alone == 0 or least > UNCLEAR[1]:
        return found(p_at(usual), usual)
    if linked:
        refits: list[float] = []
        for given in relabelled:
            refits.append(refit(given))
            if len(refits) in (FEWEST_LINKED, MOST_REFITS):
                centre, spread, k = float(np.mean(refits)), float(np.var(refits, ddof=1)), len(refits)
                drawn = np.random.default_rng([seed, 1]).chisquare(k - 1, n)
                scale = np.sqrt(spread * (1 + 1 / k) / alone * (k - 1) / drawn)
                p_value = max(p_of(observed, centre + scale * (permuted - middle)), least)
                null = Null(p_value, centre, n, least, units.name, max(1.0, spread / alone), k, shared)
                if not UNCLEAR[0] < p_value < UNCLEAR[1]:
                    break
        return null
    if p_at(SHARED_AT_MOST) < UNCLEAR[0]:
        return found(p_at(SHARED_AT_MOST), usual)
    if p_at(1.0) > UNCLEAR[1]:
        return found(p_at(usual), usual)
    squares: list[float] = []
    p_value, inflation = 0.0, usual
    for given in relabelled:
        squares.append((refit(given) - middle) ** 2 / alone)
        if len(squares) in (FEWEST_REFITS, MOST_REFITS):
            freedom = WORTH + len(squares)
            inflation = float((WORTH * usual + sum(squares)) / freedom)
            p_value = p_at(inflation, freedom)
            if not UNCLEAR[0] < p_value < UNCLEAR[1]:
                break
    return found(p_value, inflation, squares)


def spread_of_answers(inflation: float) -> float:
    """Return the inflation of the share of right answers where that of the scores behind them is given."""
    return 1 + (inflation - 1) * OF_SIGNS


def spread_of_scores(inflation: float) -> float:
    """Return the inflation of scores where that of the share of right answers is given."""
    return 1 + (inflation - 1) / OF_SIGNS


def spread_of_folds(at_null: float, agreement: float, n_folds: int) -> float:
    """Return the inflation of folds whose decoders share training, wherever the score lies.

    at_null: the inflation on noise. agreement: of decoders fitted to halves of the training (`agreement_of`), by which
    they hold u times more signal than noise: halves agree by u / (2 + u). A pair of trials that stands once on either
    side moves scores by the noise in the weights, 1 / (1 + u) of them. What two folds' decoders differ by is
    1 / (n_folds - 1) of that noise and moves scores by the signal. How well the training's noise let them find it,
    u / (1 + u)^3, is one draw for all folds. For linear decoders of Gaussian classes, to first order.
    """
    u = 2 * min(max(agreement, 0.0), 0.999) / (1 - min(max(agreement, 0.0), 0.999))
    others = max(n_folds - 1, 1)
    pairs = (at_null - 1) * (1 + 2 * u / ((1 + u) * others)) / (1 + u)
    return 1 + pairs + n_folds / others * u / (1 + u) ** 3


def usual_spread(reads_labels: bool | None) -> float:
    """Return what to take for `usual` in `null_of`: for a closed form, whether its features are fitted to labels; None
    for gradient descent, of which nothing is known.
    """
    return {True: SHARED_BY_LABELS, False: SHARED_BY_LINEAR, None: SHARED_AT_MOST}[reads_labels]
