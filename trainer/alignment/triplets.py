"""Odd-one-out judgements: tables of them, which are held out, and how far anybody could get on them."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HELD_OUT = ("pictures", "triplets")
CHANCE = 1 / 3
LEAST = 30  # held-out triplets; fewer tell nothing
ASKED_OFTEN = 5  # a triple that was judged as often shows how far people agree


@dataclass(frozen=True)
class Triplets:
    """Judgements (n, 3) int64, each the numbers of three pictures: the pair that is alike, then the odd one out.

    names: of the pictures, in the order of their numbers.
    """

    judged: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.judged)


def read_triplets(path: Path, names: Path | None = None) -> Triplets:
    """Read a table of three columns, the pair that is alike and then the odd one out, with or without a heading.

    path: .csv, .tsv or text with blanks between (THINGS' own). names: a text file with a picture's name a line, for
    tables that hold its number, counted from 0. Raises FileNotFoundError for no file; ValueError, naming the line, for
    another number of columns, a number that no picture has, or a picture that is in its triplet twice.
    """
    for file in (path, *([names] if names else [])):
        if not file.is_file():
            raise FileNotFoundError(f"no file {file}")
    lines = _lines(path)
    known = [line.strip() for line in names.read_text(encoding="utf-8").splitlines() if line.strip()] if names else None
    if lines and _is_heading(lines, known is not None):
        lines = lines[1:]
    if not lines:
        raise ValueError(f"{path} holds no triplets")
    order: dict[str, int] = {name: number for number, name in enumerate(known)} if known else {}
    found: list[list[int]] = []
    for number, cells in lines:
        if len(cells) != 3:
            raise ValueError(
                f"{path}, line {number}: {len(cells)} columns; a triplet has three, the pair that is alike and then "
                "the odd one out"
            )
        if known is not None:
            wrong = [cell for cell in cells if not cell.isdecimal() or int(cell) >= len(known)]
            if wrong:
                raise ValueError(f"{path}, line {number}: {wrong[0]!r} is none of the {len(known)} names in {names}")
            row = [int(cell) for cell in cells]
        else:
            row = [order.setdefault(cell, len(order)) for cell in cells]
        if len(set(row)) < 3:
            raise ValueError(f"{path}, line {number}: a picture is in its triplet twice ({', '.join(cells)})")
        found.append(row)
    return Triplets(np.array(found, dtype=np.int64), tuple(known or order))


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no table of text; give .csv, .tsv or .txt") from error
    rows = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    first = rows[0][1] if rows else ""
    between = "\t" if "\t" in first else "," if "," in first else ";" if ";" in first else ""
    if not between:
        return [(number, line.split()) for number, line in rows]
    cells = csv.reader([line for _, line in rows], delimiter=between)
    return [(number, [cell.strip() for cell in row]) for (number, _), row in zip(rows, cells, strict=True)]


def _is_heading(lines: Sequence[tuple[int, list[str]]], numbered: bool) -> bool:
    """Tell whether the first line names the columns: no number among numbers, or cells that no other line has."""
    first = lines[0][1]
    if numbered:
        return not any(cell.isdecimal() for cell in first)
    words = re.compile(r"odd|odd_?one_?out|(image|item)_?[123]|anchor|positive|negative", re.IGNORECASE)
    return any(words.fullmatch(cell) for cell in first) and not set(first) & {
        cell for _, cells in lines[1:] for cell in cells
    }


def split_triplets(triplets: Triplets, kind: str, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return training and held-out judgements, (n, 3) each.

    kind: "pictures" holds out `share` of the pictures and keeps only triplets that lie wholly on one side, so that no
    picture is on both; "triplets" holds out `share` of the triples, however often each was asked. Raises ValueError
    where too few are left on a side.
    """
    rng = np.random.default_rng([seed, 71])
    judged = triplets.judged
    if kind == "pictures":
        used = np.unique(judged)
        held = np.isin(judged, rng.permutation(used)[: round(share * len(used))]).sum(axis=1)
        train, test = judged[held == 0], judged[held == 3]
    else:
        _, triple = np.unique(np.sort(judged, axis=1), axis=0, return_inverse=True)
        triple = triple.reshape(-1)
        out = rng.permutation(triple.max() + 1) < share * (triple.max() + 1)
        train, test = judged[~out[triple]], judged[out[triple]]
    if len(train) < LEAST or len(test) < LEAST:
        more = ", or --held-out triplets" if kind == "pictures" else ""
        raise ValueError(
            f"{len(triplets)} triplets leave {len(train)} to fit and {len(test)} held out by {kind}; at least {LEAST} "
            f"each are needed: give more triplets{more}"
        )
    return train, test


def agreement(judged: np.ndarray) -> float | None:
    """Return how often people choose the commonest answer, over triples asked at least five times; None without any."""
    answers: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for row in judged.tolist():
        answers[tuple(sorted(row))].append(row[2])
    often = [found for found in answers.values() if len(found) >= ASKED_OFTEN]
    if not often:
        return None
    return float(np.mean([Counter(found).most_common(1)[0][1] / len(found) for found in often]))
