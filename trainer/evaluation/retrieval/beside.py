"""Two runs on the same test windows: how much one finds more than the other, by picture and by person."""

from pathlib import Path

import numpy as np

from ..decoding_report import Evaluated, open_run
from .figures import how_scored
from .people import paired
from .sections import Decoded, compared, found_of

KS = (1, 5)


def open_beside(evaluated: Evaluated, run: Path, data: Path | None = None) -> Evaluated:
    """Open another run to be put beside an evaluated one; raises ValueError where it was not tested on the same rows of
    the same pictures.
    """
    other = open_run(run, data)
    mine, own = (
        list(zip(one.test.subject.tolist(), one.test.image_id.tolist(), one.test.repeats.tolist(), strict=True))
        for one in (evaluated, other)
    )
    if mine != own or other.store.folder.resolve() != evaluated.store.folder.resolve():
        raise ValueError(
            f"--beside {run}: it was not tested on the same windows as {evaluated.run}; two runs stand beside each "
            "other on one store with one split and the same --test-average and --test-repeats"
        )
    return other


def first_space(evaluated: Evaluated) -> str:
    """Return the first space that retrieves; raises ValueError where there is none."""
    for space in evaluated.encoder.spaces:
        if evaluated.encoder.head(space).config.kind != "prompts":
            return space
    raise ValueError(
        f"the run at {evaluated.run} retrieves nothing: its heads are {', '.join(evaluated.encoder.spaces)}"
    )


def beside_section(evaluated: Evaluated, other: Evaluated) -> dict:
    """Return the section on how much more a run finds than another of the same queries.

    Differences have an interval by whole pictures, and Wilcoxon's p over pictures and, of six people or more, over
    people.
    """
    runs = (evaluated, other)
    founds = [found_of(run, compared(run, first_space(run))) for run in runs]
    names = [run.run.resolve().name for run in runs]
    rows = []
    for k in KS:
        if k >= min(found.gallery for found in founds):
            continue
        hits = [found.top(k) for found in founds]
        row = {"score": f"top-{k}", names[0]: float(hits[0].mean()), f"{names[1]} (beside)": float(hits[1].mean())}
        row |= paired(hits[0], hits[1], evaluated.test.image_id)
        if len(np.unique(evaluated.test.subject)) > 1:
            row["p (Wilcoxon, people)"] = paired(hits[0], hits[1], evaluated.test.subject)["p (Wilcoxon)"]
        rows.append(row)
    how = how_scored(evaluated.test, evaluated.options, founds[0].gallery)
    text = f"{names[0]} ({first_space(evaluated)}) and {names[1]} ({first_space(other)}) on the same windows. {how}."
    return {"title": f"Beside {names[1]}", "text": text, "table": rows}


def nearest_of(one: Decoded, evaluated: Evaluated, space: str, rows: np.ndarray, k: int) -> list[list[str]]:
    """Return the names of the k items nearest to each of some queries, the nearest first."""
    scores = found_of(evaluated, one).scores[rows]
    return [[one.names[i] for i in row] for row in np.argsort(-scores, axis=1, kind="stable")[:, :k].tolist()]
