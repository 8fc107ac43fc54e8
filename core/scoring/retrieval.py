"""Finding the picture that was seen among many, by cosine similarity in a target space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def similarities(query: Tensor, gallery: Tensor, center: Tensor | None = None) -> Tensor:
    """Return the cosine similarity (n, m) of every query (n, d) with every gallery item (m, d).

    center: (d,) or (1, d), the mean of the *training* targets, subtracted from both sides. The gallery's own mean
    would tell each query about the others (a transductive trick), so it is never used. A vector of length zero is
    similar to nothing (0).

    Raises ValueError where the widths differ.
    """
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"queries {tuple(query.shape)} and gallery {tuple(gallery.shape)} must be (n, d) and (m, d) "
            "with one width d; flatten them and take both from one target space"
        )
    if center is not None and center.numel() != query.shape[1]:
        raise ValueError(f"the centre has {center.numel()} values but the vectors are {query.shape[1]} wide")
    # half precision would make ties of near neighbours
    kind = torch.float64 if torch.float64 in (query.dtype, gallery.dtype) else torch.float32
    query, gallery = query.to(kind), gallery.to(query.device, kind)
    if center is not None:
        center = center.to(query.device, kind).reshape(1, -1)
        query, gallery = query - center, gallery - center
    return functional.normalize(query, dim=1) @ functional.normalize(gallery, dim=1).T


def ranks(scores: Tensor, truth: Tensor | None = None) -> Tensor:
    """Return for each query how many other items score at least as high as the true one (0 is first), int64 (n,).

    scores: (n, m), larger is nearer. truth: int64 (n,), the true item's index in the gallery; None means query i
    shows item i. Ties count against us, and so does NaN, so that a decoder whose answers are all alike finds nothing.

    Raises ValueError for indices outside the gallery.
    """
    if scores.ndim != 2:
        raise ValueError(f"scores must be (queries, gallery); got shape {tuple(scores.shape)}")
    rows = torch.arange(len(scores)) if truth is None else truth
    rows = rows.to(scores.device, torch.int64)
    if rows.shape != scores.shape[:1] or (len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < scores.shape[1]):
        raise ValueError(
            f"truth must hold one gallery index (0 to {scores.shape[1] - 1}) for each of the {len(scores)} queries; "
            f"got shape {tuple(rows.shape)}"
        )
    own = scores.gather(1, rows[:, None])
    return (~(scores < own)).sum(dim=1) - 1


def nearest(
    query: Tensor, gallery: Tensor, names: Sequence[str], k: int = 5, center: Tensor | None = None
) -> list[list[tuple[str, float]]]:
    """Return for each query (n, d) its k nearest gallery items (m, d) as (name, cosine similarity), the nearest first.

    names: (m,) in the gallery's order. center: the training mean, as in `similarities`. A k beyond the gallery gives
    the whole gallery.

    Raises ValueError where there are not as many names as items, or k < 1.
    """
    if len(names) != len(gallery):
        raise ValueError(f"the gallery has {len(gallery)} items but {len(names)} names")
    if k < 1:
        raise ValueError(f"k must be at least 1; got {k}")
    values, places = similarities(query, gallery, center).topk(min(k, len(gallery)), dim=1)
    chosen: list[list[str]] = [[str(names[int(place)]) for place in row] for row in places.tolist()]
    return [list(zip(row, found, strict=True)) for row, found in zip(chosen, values.tolist(), strict=True)]
