"""A run's training repeated for each fold of a protocol, each fold scored by what never saw it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.scoring.families import holm
from core.scoring.intervals import joined_interval
from core.scoring.permutations import SHARED_AT_MOST

from ..protocols.registry import protocol_named
from ..store.narrowed import as_read
from ..targets.mixes.picture_side import load_sides
from ..training.folds import fitted_folds
from ..training.splits import trials_at_use
from .decoding_report import Evaluated, decoded, decoding_report

FOLDS = "Folds: "  # how the section's title begins


def protocol_section(
    evaluated: Evaluated, protocol: str, out: Path, n_folds: int = 5, keep_split: bool = False
) -> dict:
    """Return a section for the report: the scores of every fold, after their means over the folds.

    Each fold's encoder is trained from nothing with the run's own options. out: a folder for the folds' training.
    keep_split: test only what the store prescribes as a test, and train on none of it. Raises ValueError for an unknown
    protocol or where the store lacks what it needs.
    """
    row, whole, options = protocol_named(protocol), evaluated.whole, evaluated.options
    found: list[dict] = []
    for fold, encoder in fitted_folds(
        whole, evaluated.store.config, evaluated.given, options, protocol, out, n_folds, keep_split=keep_split
    ):
        trials = as_read(whole, evaluated.store.config, encoder.preprocessing)
        test = trials_at_use(trials, fold.test, options.data)
        outputs = decoded(encoder, trials, fold.test, options.data)
        targets = load_sides(out / fold.name, evaluated.given, options.targets)
        part = replace(
            evaluated, trials=trials, targets=targets, parts=fold.parts, test=test, encoder=encoder, outputs=outputs
        )
        found += [_row(fold.name, entry) for entry in decoding_report(part)[0]]
    return {
        "title": FOLDS + protocol,
        "text": (
            f"The run's training repeated for each {row.unit}, which the encoder scored here has never seen. "
            f"The mean's interval counts what {row.units} "
            "differ by and that they share training trials (Nadeau & Bengio); p of several folds is adjusted (Holm)."
        ),
        "table": [*_means(found, row.units, not row.by_picture), *_with_holm(found)],
    }


def _row(fold: str, entry: dict) -> dict:
    return {
        "fold": fold,
        "score": entry["name"],
        "value": entry["value"],
        "interval": entry["interval"],
        "chance": entry["chance"],
        "shuffled EEG": entry["baselines"]["shuffled EEG"],
        "p": entry["p_value"],
        "n": entry["n"],
    }


def _with_holm(rows: list[dict]) -> list[dict]:
    """Return the rows with `p (Holm)`, each score's p-values over its folds being one family."""
    adjusted: dict[int, float | None] = {}
    for score in dict.fromkeys(row["score"] for row in rows):
        places = [place for place, row in enumerate(rows) if row["score"] == score]
        adjusted |= dict(zip(places, holm([rows[place]["p"] for place in places]), strict=True))
    return [{**row, "p (Holm)": adjusted[place]} for place, row in enumerate(rows)]


def _means(rows: list[dict], units: str, between: bool) -> list[dict]:
    """Return a row for each score that stands in several folds; one whose gallery differs has another name."""
    means = []
    for score in dict.fromkeys(row["score"] for row in rows):
        of = [row for row in rows if row["score"] == score]
        if len(of) < 2:
            continue
        value, chance, shuffled = (float(np.mean([row[k] for row in of])) for k in ("value", "chance", "shuffled EEG"))
        low, high = joined_interval(
            [row["value"] for row in of], [row["interval"] for row in of], SHARED_AT_MOST, between
        )
        means.append(
            {
                "fold": f"mean of {len(of)} {units}",
                "score": score,
                "value": value,
                "interval": [max(low, 0.0), min(high, 1.0)],
                "chance": chance,
                "shuffled EEG": shuffled,
                "p": None,
                "p (Holm)": None,
                "n": sum(row["n"] for row in of),
            }
        )
    return means


def protocol_table(section: dict) -> str:
    """Return a section's rows as lines of text."""
    lines = [section["title"]]
    for row in section["table"]:
        low, high = row["interval"]
        p = "" if row["p"] is None else f", p = {row['p']:.3g} ({row['p (Holm)']:.3g} of all folds)"
        lines.append(
            f"{row['fold']:24} {row['score']:24} {row['value']:7.3f}  {low:.3f} to {high:.3f}, chance "
            f"{row['chance']:.3f}, shuffled EEG {row['shuffled EEG']:.3f}{p}, n = {row['n']}"
        )
    return "\n".join(lines)
