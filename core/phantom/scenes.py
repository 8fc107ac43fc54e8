"""The phantom's pictures: one coloured shape at a place in a size, with its caption, drawn at 64 × 64."""

from dataclasses import dataclass
from itertools import product

import numpy as np

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
COLOURS = {
    "red": (0.90, 0.12, 0.12),
    "orange": (1.00, 0.55, 0.05),
    "yellow": (0.98, 0.95, 0.15),
    "green": (0.10, 0.62, 0.15),
    "cyan": (0.10, 0.85, 0.90),
    "blue": (0.12, 0.20, 0.85),
    "white": (1.00, 1.00, 1.00),
    "black": (0.02, 0.02, 0.02),
}
PLACES = {
    "at the top left": (-1, -1),
    "at the top": (0, -1),
    "at the top right": (1, -1),
    "on the left": (-1, 0),
    "in the middle": (0, 0),
    "on the right": (1, 0),
    "at the bottom left": (-1, 1),
    "at the bottom": (0, 1),
    "at the bottom right": (1, 1),
}
SIZES = {"small": 9.5, "large": 14.0}  # radius in pixels
PICTURE_SIZE = 64
PLACE_STEP = 14.5  # pixels from the middle to an outer place
BACKGROUND = 0.5
N_TEST = 200
N_VAL = 64


@dataclass(frozen=True)
class Scene:
    """One combination of the four attributes; `caption` says it in words and `id` names it in tables."""

    shape: str
    colour: str
    place: str
    size: str

    @property
    def caption(self) -> str:
        """Return the caption, for example ``a large red star at the top left``."""
        return f"a {self.size} {self.colour} {self.shape} {self.place}"

    @property
    def id(self) -> str:
        """Return a name without spaces, for example ``large-red-star-at-the-top-left``."""
        return self.caption[2:].replace(" ", "-")

    @property
    def class_name(self) -> str:
        """Return colour and shape, for example ``red star``: what a coarse label tells, neither place nor size."""
        return f"{self.colour} {self.shape}"

    @property
    def codes(self) -> tuple[int, int, int, int]:
        """Return the indices of shape, colour, place and size in their tables."""
        shape, colour = SHAPES.index(self.shape), tuple(COLOURS).index(self.colour)
        return shape, colour, tuple(PLACES).index(self.place), tuple(SIZES).index(self.size)


def all_scenes() -> list[Scene]:
    """Return all 864 scenes in a fixed order."""
    return [Scene(*values) for values in product(SHAPES, COLOURS, PLACES, SIZES)]


def class_names(n: int = 48) -> tuple[str, ...]:
    """Return the first `n` of the 48 coarse classes, one colour and shape each (``red circle`` first).

    Raises ValueError where there are not so many.
    """
    names = tuple(f"{colour} {shape}" for shape, colour in product(SHAPES, COLOURS))
    if not 1 <= n <= len(names):
        raise ValueError(f"the phantom has 1 to {len(names)} classes of shape and colour; got {n}")
    return names[:n]


def scenes_of_class(name: str) -> list[Scene]:
    """Return the 18 scenes (9 places, 2 sizes) of a class such as ``red star`` or ``a red star``.

    Raises ValueError naming colours and shapes where it is none.
    """
    bare = name.removeprefix("a ")
    if found := [scene for scene in all_scenes() if scene.class_name == bare]:
        return found
    raise ValueError(f"no class {name!r}; it is a colour of {tuple(COLOURS)} and a shape of {SHAPES}")


def split_scenes(seed: int = 0) -> dict[str, list[Scene]]:
    """Return disjoint lists under `train`, `val` and `test` (600, 64 and 200 scenes): no test combination is ever
    trained on.

    Every single attribute value occurs in `train`; only the combinations are held out.
    """
    scenes = all_scenes()
    order = np.random.default_rng([seed, 864]).permutation(len(scenes))
    test, val, train = np.split(order, [N_TEST, N_TEST + N_VAL])
    return {name: [scenes[i] for i in part] for name, part in (("train", train), ("val", val), ("test", test))}


def scene_from_caption(caption: str) -> Scene:
    """Return the scene a caption of the phantom's vocabulary describes.

    Raises ValueError naming the vocabulary where the words do not name exactly one value of each attribute.
    """
    for scene in all_scenes():
        if scene.caption == " ".join(caption.lower().split()):
            return scene
    raise ValueError(
        f"the phantom has no scene for {caption!r}; it knows 'a SIZE COLOUR SHAPE PLACE' with sizes {tuple(SIZES)}, "
        f"colours {tuple(COLOURS)}, shapes {SHAPES} and places {tuple(PLACES)}"
    )


def scene_from_id(name: str) -> Scene:
    """Return the scene whose `id` this is; raises ValueError like `scene_from_caption`."""
    return scene_from_caption("a " + name.replace("-", " "))


def _signed_distance(shape: str, x: np.ndarray, y: np.ndarray, r: float) -> np.ndarray:
    """Return a field that is negative inside the shape of radius `r` centred on the origin, about one unit a pixel."""
    if shape == "circle":
        return np.hypot(x, y) - r
    if shape == "ring":
        return np.abs(np.hypot(x, y) - 0.74 * r) - 0.26 * r
    if shape == "square":
        return np.maximum(np.abs(x), np.abs(y)) - 0.88 * r
    if shape == "cross":
        arm = 0.30 * r
        upright = np.maximum(np.abs(x) - arm, np.abs(y) - r)
        level = np.maximum(np.abs(x) - r, np.abs(y) - arm)
        return np.minimum(upright, level)
    if shape == "triangle":
        # Point up; the two flanks lean so that the base is as wide as the shape is high.
        flank = (2.0 * np.abs(x) + (-y) - r) / np.sqrt(5.0)
        return np.maximum(flank, y - r)
    if shape == "star":
        angle = np.arctan2(x, -y)
        wedge = np.abs((angle + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
        radius = np.hypot(x, y) / (1.12 * r)
        px, py = radius * np.cos(wedge), radius * np.sin(wedge)
        # The straight edge from the tip (1, 0) to the notch between two tips.
        notch = 0.40
        nx, ny = notch * np.cos(np.pi / 5), notch * np.sin(np.pi / 5)
        ex, ey = nx - 1.0, ny
        return ((px - 1.0) * -ey + py * ex) * -1.12 * r / np.hypot(ex, ey)
    raise ValueError(f"no shape {shape!r}; shapes are {SHAPES}")


def draw(scene: Scene, seed: int | None = None) -> np.ndarray:
    """Draw a scene.

    scene: what to draw. seed: None draws the clean picture; a number moves it by up to 1.5 pixels, changes its radius
    by up to 6 % and its shade slightly, so that a scene has many pictures.

    Returns uint8 (64, 64, 3).
    """
    dx = dy = 0.0
    grow, shade, ground = 1.0, 1.0, BACKGROUND
    if seed is not None:
        rng = np.random.default_rng([seed, *scene.codes])
        dx, dy = rng.uniform(-1.5, 1.5, 2)
        grow, shade = rng.uniform(0.94, 1.06), rng.uniform(0.93, 1.0)
        ground = BACKGROUND + rng.uniform(-0.04, 0.04)
    across, down = PLACES[scene.place]
    middle = (PICTURE_SIZE - 1) / 2
    grid = np.arange(PICTURE_SIZE) - middle
    x = grid[None, :] - across * PLACE_STEP - dx
    y = grid[:, None] - down * PLACE_STEP - dy
    distance = _signed_distance(scene.shape, x, y, SIZES[scene.size] * grow)
    cover = np.clip(0.5 - distance, 0.0, 1.0)[..., None]  # one pixel of anti-aliasing
    ink = np.array(COLOURS[scene.colour]) * shade
    picture = ground * (1 - cover) + ink * cover
    return np.round(picture * 255).astype(np.uint8)
