"""The report's sections of pictures: the sheet of what was found, and the map of what was decoded."""

import numpy as np

from ..decoding_report import Evaluated
from ..leaks.store_checks import pictures_at_hand
from .beside import first_space, nearest_of
from .pictures import ROWS, TOP, embedding_map, top_k_sheet
from .sections import compared

MOST_ON_MAP = 400


def picture_sections(evaluated: Evaluated, other: Evaluated | None = None) -> list[dict]:
    """Return a sheet of the five nearest pictures of the first test trials, of both runs where there are two, and a map
    of queries and targets; none where nothing is retrieved, no sheet where no pictures are at hand.
    """
    runs = [run for run in (evaluated, other) if run is not None]
    try:
        spaces = [first_space(run) for run in runs]
    except ValueError:
        return []
    sections = []
    ones = [compared(run, space) for run, space in zip(runs, spaces, strict=True)]
    rows = np.arange(min(ROWS, len(evaluated.test)))
    found = [nearest_of(one, run, space, rows, TOP) for one, run, space in zip(ones, runs, spaces, strict=True)]
    shown = [ones[0].names[number] for number in ones[0].truth[rows].tolist()]
    pictures = shown_pictures(
        evaluated, sorted({name for run in found for names in run for name in names} | set(shown))
    )
    if pictures:
        names = [f"{run.run.resolve().name} ({space})" for run, space in zip(runs, spaces, strict=True)]
        text = (
            f"Held-out trials in order, not chosen. First what was shown, then the {TOP} nearest of "
            f"{' | '.join(names)}; what is right has a frame."
        )
        sheet = top_k_sheet(pictures, shown, found)
        sections.append({"title": "What was found", "text": text, "picture": sheet})
    if len(ones[0].items) > 2:
        some = slice(None, MOST_ON_MAP)
        drawn, how = embedding_map(ones[0].queries[some], ones[0].items, ones[0].truth[some])
        text = f"Decoded windows and the test targets of {spaces[0]} on a plane, each joined to its own: {how}."
        sections.append({"title": "Map", "text": text, "picture": drawn})
    return sections


def shown_pictures(evaluated: Evaluated, names: list[str]) -> dict[str, np.ndarray]:
    """Return pictures by the names of a gallery: of the folder the run was trained with, on the phantom drawn anew."""
    found = pictures_at_hand(evaluated.options.targets.images, names)
    if found or not evaluated.is_phantom:
        return found
    from core.phantom.scenes import draw

    from ..phantom_truth import scenes_named

    return {name: draw(scenes_named(name)[0]) for name in names}
