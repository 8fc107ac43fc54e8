"""Pictures of retrieval: what was shown beside what was found, of one run or of two, and a map of both sides."""

from collections.abc import Mapping, Sequence

import numpy as np

from core.plots.canvas import LINES_LIGHT, new_figure, pixels, put_title

SIDE, GAP, RIGHT = 72, 6, (31, 107, 117)
TOP = 5
ROWS = 12


def top_k_sheet(
    pictures: Mapping[str, np.ndarray], shown: Sequence[str], found: Sequence[Sequence[Sequence[str]]]
) -> np.ndarray:
    """Return one picture: a row for each trial, first what was shown, then what each run found, the nearest first.

    pictures: uint8 (H, W, 3) by name. shown: (n,) names. found: for each run (n, k) names. What is right has a frame.
    Returns uint8 (height, width, 3); a picture that is not at hand stays grey.
    """
    from PIL import Image

    step, k = SIDE + GAP, len(found[0][0]) if found and len(found[0]) else 0
    blocks = [1] + [k] * len(found)
    width = sum(n * step for n in blocks) + 3 * GAP * (len(blocks) - 1) + GAP
    sheet = np.full((len(shown) * step + GAP, width, 3), 255, dtype=np.uint8)
    for row, name in enumerate(shown):
        lists = [[name], *(list(of_run[row]) for of_run in found)]
        left, top = GAP, GAP + row * step
        for block, names in enumerate(lists):
            for one in names:
                picture = pictures.get(one)
                small = np.full((SIDE, SIDE, 3), 200, dtype=np.uint8)
                if picture is not None:
                    small = np.asarray(Image.fromarray(picture).resize((SIDE, SIDE)))
                if block and one == name:
                    sheet[top - 3 : top + SIDE + 3, left - 3 : left + SIDE + 3] = RIGHT
                sheet[top : top + SIDE, left : left + SIDE] = small
                left += step
            left += 3 * GAP
    return sheet


def two_dimensions(vectors: np.ndarray, seed: int = 0) -> tuple[np.ndarray, str]:
    """Return vectors (n, d) on a plane (n, 2), and by what: UMAP where umap-learn is installed, else the two largest
    principal components, which is said.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    try:
        from umap import UMAP  # pyright: ignore[reportMissingImports]  # an optional package
    except ImportError:
        centred = vectors - vectors.mean(axis=0)
        _, _, directions = np.linalg.svd(centred, full_matrices=False)
        found = np.zeros((len(vectors), 2))
        n = min(2, len(directions))
        found[:, :n] = centred @ directions[:n].T
        return found, "principal components (UMAP needs the package umap-learn)"
    made = UMAP(n_components=2, metric="cosine", random_state=seed, n_jobs=1)
    return np.asarray(made.fit_transform(vectors)), "UMAP (umap-learn)"


def embedding_map(queries: np.ndarray, items: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, str]:
    """Return a picture of decoded queries (n, d) and the gallery (m, d) on one plane, each query joined to its own item
    (n,), and by what it was drawn.
    """
    unit = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300) for rows in (queries, items)]
    plane, how = two_dimensions(np.concatenate(unit))
    seen, wanted = plane[: len(queries)], plane[len(queries) :]
    figure, axes, theme = new_figure(560, 480, dark=False)
    for one, number in zip(seen, truth, strict=True):
        axes.plot(*np.stack([one, wanted[number]]).T, color=theme["line"], linewidth=0.6, zorder=1)
    axes.scatter(*wanted.T, s=14, color=LINES_LIGHT[0], label="targets", zorder=3)
    axes.scatter(*seen.T, s=10, color=LINES_LIGHT[1], label="decoded", zorder=2)
    axes.legend(frameon=False, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    put_title(axes, how, theme)
    return pixels(figure), how
