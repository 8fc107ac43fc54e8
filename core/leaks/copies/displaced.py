"""One picture twice, of which the second was cropped, framed, turned, mirrored or inverted."""

import hashlib
from collections.abc import Sequence

import numpy as np

from ..check import ALPHA
from .thumbnails import thumbnail

FINE = 32
ZOOMS = (0.75, 0.82, 0.88, 0.94, 1.0)  # how much of the second picture the first one shows
TURNS = tuple((mirror, quarter) for mirror in (False, True) for quarter in range(4))
MOST_PAIRS = 12_000  # of pictures in one place and turn that are compared closely
LEAST = 0.5  # correlation of all details of one picture
REST = 6  # next best ones that say how alike different pictures of this set are
_LAST: dict[bytes, list[tuple[int, int]]] = {}


def displaced(pictures: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Return pairs of numbers of pictures, uint8 (H, W, 3), that are one, moved, scaled, turned or inverted.

    Each picture is compared in eight turns, whole and in parts, with those that look most like it, by the strongest
    correlation of their details at any shift. One is its copy if it is nearer than the next best ones let expect: the
    largest of many values lies above the second by an exponential variable of the scale that the following spacings
    show (Renyi 1953), here over all pictures of the set. Sets of pictures that are all alike therefore raise no alarm.
    """
    n = len(pictures)
    if n < REST + 2:
        return []
    grey = [one.mean(axis=2) if one.ndim == 3 else one.astype(np.float64) for one in pictures]
    whole = np.stack([thumbnail(one, FINE) for one in grey])
    key = hashlib.sha256(whole.tobytes()).digest()
    if key in _LAST:  # every fold of a cross-validation asks about the same pictures
        return _LAST[key]
    parts = [np.stack([thumbnail(_middle(one, zoom), FINE) for one in grey]) for zoom in ZOOMS]
    each = int(np.clip(MOST_PAIRS // n, REST + 2, 40))
    best = _close(whole, parts, _candidates(whole, parts, min(each, n - 1)))
    # what the other one shows a part of
    best = np.maximum(best, best.T)
    np.fill_diagonal(best, 0.0)
    ranked = -np.sort(-np.arctanh(np.clip(best, 0.0, 0.999)), axis=1)
    spacing = (ranked[:, 1:REST] - ranked[:, 2 : REST + 1]) * np.arange(2, REST + 1)
    scale = max(float(np.median(spacing.mean(axis=1))), 1e-3)
    gap = ranked[:, 0] - ranked[:, 1]
    twins = best.argmax(axis=1)
    # a third copy takes the gap away: then what lies beyond the set's usual second best counts
    beyond = ranked[:, 0] - np.median(ranked[:, 1])
    sure = np.minimum(gap, beyond) > scale * np.log(n / ALPHA)
    sure &= best.max(axis=1) > LEAST
    found = sorted({(min(i, int(twins[i])), max(i, int(twins[i]))) for i in np.flatnonzero(sure).tolist()})
    _LAST.clear()
    _LAST[key] = found
    return found


def _middle(picture: np.ndarray, share: float) -> np.ndarray:
    height, width = (max(round(size * share), 2) for size in picture.shape)
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def _turned(pictures: np.ndarray, mirror: bool, quarter: int) -> np.ndarray:
    return np.rot90(pictures[:, :, ::-1] if mirror else pictures, quarter, (1, 2))


def _candidates(whole: np.ndarray, parts: list[np.ndarray], each: int) -> dict[tuple[int, int, int], np.ndarray]:
    """Return, for each part and turn, pairs (m, 2) of a picture and another one that looks like it from afar."""
    n = len(whole)
    own = _unit(_coarse(whole)).astype(np.float32)
    looks = [(p, m, q) for p in range(len(parts)) for m, q in TURNS]
    seen, looked = np.full((n, n), -1.0, np.float32), np.zeros((n, n), np.int8)
    for number, (p, m, q) in enumerate(looks):
        r = np.abs(own @ _unit(_coarse(_turned(parts[p], m, q))).T.astype(np.float32))
        looked[r > seen] = number
        np.maximum(seen, r, out=seen)
    np.fill_diagonal(seen, -1.0)
    first = np.repeat(np.arange(n), each)
    second = np.argpartition(-seen, each - 1, axis=1)[:, :each].reshape(-1)
    look = looked[first, second]
    return {
        (p, int(m), q): np.stack([first[look == number], second[look == number]], axis=1)
        for number, (p, m, q) in enumerate(looks)
    }


def _close(
    whole: np.ndarray, parts: list[np.ndarray], candidates: dict[tuple[int, int, int], np.ndarray]
) -> np.ndarray:
    """Return the strongest correlation (n, n) of details at any shift, 0 for pairs that were not compared."""
    best = np.zeros((len(whole), len(whole)))
    mine = np.fft.rfft2(_details(whole), (2 * FINE, 2 * FINE))
    for (p, mirror, quarter), pairs in candidates.items():
        if not len(pairs):
            continue
        others = np.conj(np.fft.rfft2(_details(_turned(parts[p], bool(mirror), quarter)), (2 * FINE, 2 * FINE)))
        for some in np.array_split(pairs, len(pairs) // 512 + 1):
            r = np.abs(np.fft.irfft2(mine[some[:, 0]] * others[some[:, 1]], (2 * FINE, 2 * FINE))).max(axis=(1, 2))
            np.maximum.at(best, (some[:, 0], some[:, 1]), r)
    return best


def _details(thumbnails: np.ndarray) -> np.ndarray:
    """Return thumbnails less their blurred selves, of unit length."""
    from scipy.ndimage import gaussian_filter

    fine = gaussian_filter(thumbnails, (0, 0.7, 0.7)) - gaussian_filter(thumbnails, (0, 3.0, 3.0))
    return _unit(fine.reshape(len(fine), -1)).reshape(fine.shape)


def _coarse(thumbnails: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(thumbnails, (0, 2.0, 2.0))[:, 1::3, 1::3].reshape(len(thumbnails), -1)


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
