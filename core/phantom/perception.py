"""What the phantom's person finds alike: a stated geometry of scenes, and odd-one-out judgements made by it."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ..files import PHANTOM
from .scenes import COLOURS, PLACES, SHAPES, SIZES, Scene, all_scenes

GEOMETRIES = ("", "perceptual", "encoder")
# How much each attribute counts in the geometry "perceptual"; each has a mean squared length of 1 before.
WEIGHTS = {"shape": 1.0, "colour": 1.6, "place": 0.5, "size": 0.2}
SHARPNESS = 1.5  # of judgements: the scores of the three pairs are this times their dot products
ENCODER_VECTORS = "scene_vectors.safetensors"  # in the phantom's folder; `build_phantom.py` writes it


def geometry_vectors(geometry: str, scenes: Sequence[Scene]) -> np.ndarray:
    """Return where the person's perception puts scenes: (n_scenes, n_dimensions), centred over all 864 scenes.

    geometry: "perceptual" weighs shape, opponent colours, place and size by WEIGHTS, a linear transform of the scene's
    attributes; "encoder" is what the phantom's own image encoder makes of their drawings (its first principal axes).
    Raises ValueError for another name, FileNotFoundError where the encoder's vectors were not built.
    """
    if geometry not in GEOMETRIES[1:]:
        raise ValueError(f"no geometry {geometry!r}; known: {', '.join(GEOMETRIES[1:])}")
    every = _perceptual() if geometry == "perceptual" else _of_encoder()
    rows = {scene.id: row for row, scene in enumerate(all_scenes())}
    return every[[rows[scene.id] for scene in scenes]]


def attribute_vectors() -> dict[str, np.ndarray]:
    """Return each attribute of all 864 scenes as coordinates (864, n), centred, of a mean squared length of 1.

    Shapes are equally far apart, colours lie on opponent axes beside their category, places in the plane.
    """
    codes = np.array([scene.codes for scene in all_scenes()])
    rgb = np.array(list(COLOURS.values()))
    opponent = np.stack([rgb.mean(axis=1), rgb[:, 0] - rgb[:, 1], rgb[:, 2] - rgb[:, :2].mean(axis=1)], axis=1)
    tables = (
        np.eye(len(SHAPES)),
        np.concatenate([opponent, 0.25 * np.eye(len(COLOURS))], axis=1),
        np.array(list(PLACES.values()), dtype=float),
        np.linspace(-1, 1, len(SIZES))[:, None],
    )
    found: dict[str, np.ndarray] = {}
    for which, (name, table) in enumerate(zip(WEIGHTS, tables, strict=True)):
        values = table[codes[:, which]]
        values = values - values.mean(axis=0)
        found[name] = values / np.sqrt(np.mean(np.sum(values**2, axis=1)))
    return found


def judge_triplets(
    vectors: np.ndarray, n: int, seed: int, *, sharpness: float = SHARPNESS, distinct: bool = True
) -> np.ndarray:
    """Let a person with this geometry say which of three items is the odd one out, `n` times.

    vectors: (n_items, n_dimensions). Three items are drawn at random; each pair is chosen as the most alike with a
    probability proportional to exp(sharpness · dot product), the choice that THINGS' judgements are modelled by
    (Hebart et al., Nature Human Behaviour 2020). sharpness 0 is the null: answers that go with nothing. distinct: items
    of one place in the geometry are not asked about together.

    Returns (n, 3) rows of `vectors`: the pair, then the odd one. Raises ValueError for fewer than three items.
    """
    if len(vectors) < 3 or n < 1:
        raise ValueError(f"a triplet takes three of at least three items; there are {len(vectors)} items, {n} triplets")
    rng = np.random.default_rng([seed, 33])
    found: list[np.ndarray] = []
    while sum(map(len, found)) < n:
        drawn = rng.integers(0, len(vectors), (2 * n, 3))
        apart = np.ones(len(drawn), bool)
        for one, other in ((0, 1), (0, 2), (1, 2)):
            same = drawn[:, one] == drawn[:, other]
            if distinct:
                same |= np.all(np.isclose(vectors[drawn[:, one]], vectors[drawn[:, other]]), axis=1)
            apart &= ~same
        if not apart.any():
            raise ValueError("the items lie in one or two places: no three of them differ")
        found.append(drawn[apart])
    drawn = np.concatenate(found)[:n]
    chosen = (rng.random((n, 1)) > np.cumsum(pair_probabilities(vectors, drawn, sharpness), axis=1)[:, :2]).sum(axis=1)
    order = np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[chosen]
    return np.take_along_axis(drawn, order, axis=1)


def pair_probabilities(vectors: np.ndarray, triplets: np.ndarray, sharpness: float = SHARPNESS) -> np.ndarray:
    """Return how probable each pair of a triplet is to be called the most alike, (n, 3): first two, ends, last two."""
    one, two, three = (vectors[triplets[:, column]] for column in range(3))
    scores = sharpness * np.stack([np.sum(a * b, axis=1) for a, b in ((one, two), (one, three), (two, three))], axis=1)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def triplet_ceiling(vectors: np.ndarray, triplets: np.ndarray, sharpness: float = SHARPNESS) -> float:
    """Return the accuracy that whoever knows the geometry may expect on these triplets; 1/3 at sharpness 0."""
    return float(pair_probabilities(vectors, triplets, sharpness).max(axis=1).mean())


def geometry_table(geometry: str, n_components: int, subject: int) -> np.ndarray:
    """Return a person's responses to all 864 scenes by a geometry, (864, n_components) of root mean square 1.

    The geometry is turned into the components without being stretched, so that scenes lie as far apart in the
    responses as they are unlike to the person. Half of the turn is shared by all persons.
    """
    vectors = geometry_vectors(geometry, all_scenes())
    size = (n_components, vectors.shape[1])
    turn = np.random.default_rng(20241).normal(size=size) + np.random.default_rng([subject, 4]).normal(size=size)
    table = vectors @ np.linalg.qr(turn)[0].T
    return table / np.sqrt(np.mean(table**2))


@lru_cache(maxsize=1)
def _perceptual() -> np.ndarray:
    return np.concatenate([WEIGHTS[name] * values for name, values in attribute_vectors().items()], axis=1)


@lru_cache(maxsize=1)
def _of_encoder() -> np.ndarray:
    from safetensors.numpy import load_file

    path = PHANTOM / ENCODER_VECTORS
    if not path.is_file():
        raise FileNotFoundError(f"no {path}; build it with `python trainer/build_phantom.py --only image-encoder`")
    return load_file(path)["vectors"].astype(np.float64)
