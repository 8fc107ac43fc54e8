"""How a scene's shape, colour, place and size change the phantom's responses."""

import numpy as np

from .head import AREAS
from .scenes import COLOURS, PLACES, SHAPES, SIZES

# Shape, colour, place, size. Size is faint, so that the ideal observer errs there and has no more room above it.
ATTRIBUTE_GAINS = (1.0, 1.2, 1.7, 0.15)
TUNING_WIDTH = 0.45  # of a retinotopic patch, in steps between places
PERSON_SHARE = 0.5  # how much of the mixing is a person's own, beside what all share


def attribute_tables(
    area: np.ndarray, side: np.ndarray, sign: np.ndarray, shared: np.random.Generator, own: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Draw what each value of shape, colour, place and size adds to each component: four (n_values, n_components), A·m.

    Shape is categorical with all pairs equally far apart, colour opponent axes beside its category, place a smooth
    field on the other side, size one number. What two attributes do to the components is orthogonal, so none masks
    another.
    """
    n = len(area)
    drives = np.array([AREAS[a].drives for a in area])
    rgb = np.array(list(COLOURS.values()))
    opponent = np.stack([rgb.mean(axis=1), rgb[:, 0] - rgb[:, 1], rgb[:, 2] - rgb[:, :2].mean(axis=1)], axis=1)
    colour = np.concatenate([opponent, 1.5 * np.eye(len(COLOURS))], axis=1)
    tables: dict[int, np.ndarray] = {}
    taken = np.zeros((0, n))
    place = _place_tuning(area, side) * sign * np.exp(shared.normal(0, 0.3, n) + own.normal(0, 0.2, n))
    # Place comes first and keeps its field as it is; each of the others gives way to those before it.
    for which, codes in (
        (2, None),
        (1, colour),
        (0, np.eye(len(SHAPES))),
        (3, np.linspace(-1, 1, len(SIZES))[:, None]),
    ):
        table = place
        if codes is not None:
            mixing = [rng.normal(size=(codes.shape[1], n)) for rng in (shared, own)]
            table = codes @ (np.sqrt(1 - PERSON_SHARE**2) * mixing[0] + PERSON_SHARE * mixing[1])
        table = (table - table.mean(axis=0)) * drives[:, which]
        table = table - table @ taken.T @ taken
        left, size, right = np.linalg.svd(table, full_matrices=False)
        rank = int(np.sum(size > 1e-9 * size[0]))
        if which == 0:
            table = left[:, :rank] @ right[:rank]
        taken = np.concatenate([taken, right[:rank]])
        tables[which] = ATTRIBUTE_GAINS[which] * 1e-9 * table / np.sqrt(np.mean(table**2))
    return tuple(tables[which] for which in range(4))


def _place_tuning(area: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Return how strongly each component answers to each place, (9, n_components): a smooth field on the other side."""
    places = np.array(list(PLACES.values()), dtype=float)
    tuning = np.empty((len(places), len(area)))
    for i, (a, s) in enumerate(zip(area, side, strict=True)):
        field = AREAS[a].field
        if field is None:
            tuning[:, i] = 1 - 0.4 * s * places[:, 0] - 0.2 * np.hypot(places[:, 0], places[:, 1])
        else:
            middle = np.array([(s or 1) * field[0], field[1]])
            tuning[:, i] = np.exp(-0.5 * np.sum((places - middle) ** 2, axis=1) / TUNING_WIDTH**2)
    return tuning
