"""What a store's trials let one shuffle and draw."""

import numpy as np

from core.preprocessing.trials import Trials
from core.scoring.design import MANY, Units, exchangeable_units


def units_of(trials: Trials, by_picture: bool = False) -> Units:
    """Return what of these trials is exchangeable: blocks of one label, recurring pictures, or trials inside runs.

    by_picture: pictures, however few, since folds are of pictures.
    """
    if by_picture:
        pictures = np.unique(trials.image_id, return_inverse=True)[1].reshape(-1)
        return Units("picture", pictures, np.zeros(len(np.unique(pictures)), dtype=np.int64))
    block = trials.block if (trials.block != "").any() else None
    runs = np.unique(np.stack([trials.session, trials.run], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    return exchangeable_units(trials.label, picture=trials.image_id, block=block, run=runs, person=trials.subject)


def retrieval_units(trials: Trials, truth: np.ndarray) -> Units:
    """Return what is exchangeable where a picture is looked for among many: pictures that were shown several times, if
    there are enough of them to shuffle; else as `units_of`, for the items (n,) that are looked for in place of labels.
    """
    pictures = np.unique(trials.image_id, return_inverse=True)[1].reshape(-1)
    units = Units("picture", pictures, np.zeros(len(np.unique(pictures)), dtype=np.int64))
    whole = len(np.unique(np.stack([pictures, truth], axis=1), axis=0)) == len(units)
    if whole and len(units) < len(trials) and units.arrangements(truth) >= MANY:
        return units
    runs = np.unique(np.stack([trials.session, trials.run], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    return exchangeable_units(truth, run=runs, person=trials.subject)
