"""Pictures dealt into k folds with all their repeats, so that no picture stands on both sides."""

from collections.abc import Iterator

import numpy as np

from core.preprocessing.trials import Trials

from .fold import Fold, FoldOptions, TooLittle, fewer, trials_of


def k_fold_by_picture(trials: Trials, options: FoldOptions) -> Iterator[Fold]:
    """Yield `n_folds` folds of pictures, dealt from the seed, each class's evenly; validation too is by whole pictures.

    Raises TooLittle for fewer pictures than folds, or where validation would leave none to train on.
    """
    chosen = trials_of(trials, options)
    pictures, first, number = np.unique(trials.image_id[chosen], return_index=True, return_inverse=True)
    number = np.ravel(number)
    if len(pictures) < options.n_folds:
        needs, found = f"at least {options.n_folds} different pictures (--n-folds)", f"there are {len(pictures)}"
        raise TooLittle("k-fold-by-picture", needs, found)
    rng = np.random.default_rng([options.seed, 41])
    order = rng.permutation(len(pictures))
    order = order[np.argsort(trials.label[chosen][first][order], kind="stable")]
    fold = np.empty(len(pictures), dtype=np.int64)
    fold[order] = np.arange(len(pictures)) % options.n_folds
    for k in range(options.n_folds):
        others = rng.permutation(np.flatnonzero(fold != k))
        n_val = max(1, round(options.val_share * len(others))) if options.val_share else 0
        if n_val >= len(others):
            needs = "pictures to train on beside those that validate (--val-share 0)"
            raise TooLittle("k-fold-by-picture", needs, f"a fold has {len(others)}")
        is_test, is_val = fold[number] == k, np.isin(number, others[:n_val])
        train = fewer(trials, chosen[~is_test & ~is_val], options)
        yield Fold(f"fold {k + 1}", train, chosen[is_val], chosen[is_test])
