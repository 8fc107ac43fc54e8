"""An ablation's tables: in the run's report, and as lines of text."""

import numpy as np
from torch import Tensor

from core.preprocessing.trials import Trials

from .scores import Score, Seen, difference

TITLE = "Ablation"
TABLE = ("ACC", "IS", "SSIM", "class", "place")
SHOWN = 12


def differences(scores: dict[str, dict[str, Score]], groups: np.ndarray) -> list[dict]:
    """Return both levels less each thing they have to beat, over the same pictures, with paired intervals."""
    found = []
    both = [name for name in scores if name.startswith("both, ") and name.count(",") == 1]
    for name in both:
        kind = name.removeprefix("both, ")
        against = [f"sample only, {kind}", "pixel only", "plain EEG classifier + prompt"]
        against += [other for other in scores if other.startswith(f"{name}, ")]
        for other in against:
            row: dict = {"of": name, "less": other}
            for column in ("ACC", "SSIM", "class", "place"):
                if column in scores[name]:
                    row[column] = difference(scores[name][column], scores[other][column], groups)
            found.append(row)
    return found


def cell(score: dict) -> str:
    """Return a score as text: value, interval, shuffled EEG."""
    low, high = score["interval"]
    digits = 3 if abs(score["value"]) < 10 else 1
    text = f"{score['value']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
    return text if score["shuffled"] is None else f"{text}; shuffled {score['shuffled']:.3f}"


def ablation_sections(result: dict) -> list[dict]:
    """Return the report's sections: the table, the differences, and how the share to redraw was chosen."""
    columns = list(next(iter(result["arms"].values())))
    table = []
    for name, row in result["arms"].items():
        kind = "control" if name in result["controls"] else "arm"
        note = result["notes"].get(name, "")
        table.append(
            {
                "drawn from": f"{name} ({note})" if note else name,
                "kind": kind,
                **{column: cell(row[column]) for column in columns},
            }
        )
    chance = next(iter(result["arms"].values()))
    guess = {c: f"{chance[c]['chance']:.3f}" for c in columns if chance[c]["chance"] is not None}
    table.append({"drawn from": "chance", "kind": "control", **guess})
    apart = [
        {
            "of": row["of"],
            "less": row["less"],
            **{
                column: f"{value['difference']:+.3f} ({value['interval'][0]:+.3f} to {value['interval'][1]:+.3f})"
                for column, value in row.items()
                if isinstance(value, dict)
            },
        }
        for row in result["differences"]
    ]
    text = (
        f"{result['n']} test windows; {result['classifier']} looks at the pictures; ACC is {result['n_way']}-way "
        f"top-1 of 1,000 trials; {result['denoise']:g} of the pixel level is redrawn. Intervals: 95 %, "
        "pictures counting once. Shuffled: the same pictures held against other trials' truth. IS and FID are of "
        "whole sets and do not know which is whose."
    )
    sections = [{"title": f"{TITLE}: what each level is worth", "text": text, "table": table}]
    said = "The same pictures with and without; paired, 95 %."
    sections.append({"title": f"{TITLE}: differences", "text": said, "table": apart})
    if result["choices"]:
        said = "On validation pictures only; 1 is the sample level alone."
        sections.append({"title": f"{TITLE}: share to redraw", "text": said, "table": result["choices"]})
    return sections


def picture_grid(test: Trials, seen: Seen, drawn: dict[str, Tensor]) -> dict:
    """Return the report's grid: what was seen, and what each arm and control drew."""
    captions = [
        f"{name} ({label})" for name, label in zip(test.image_id, (test.labels[i] for i in test.label), strict=True)
    ]
    grid: dict = {"captions": captions[:SHOWN], "seen": seen.pictures[:SHOWN]}
    return grid | {name: pictures[:SHOWN] for name, pictures in drawn.items()}


def text_table(result: dict) -> str:
    """Return the ablation as lines of text."""
    columns = [name for name in TABLE if name in next(iter(result["arms"].values()))]
    lines = [f"{'drawn from':52}" + "".join(f"{name:>24}" for name in columns)]
    for name, row in result["arms"].items():
        if name in result["controls"][:1]:
            lines.append("controls")
        cells = (row[column] for column in columns)
        lines.append(f"{name:52}" + "".join(f"{cell(c).split(';')[0]:>24}" for c in cells))
        if name not in result["controls"]:
            lines.append(f"{'  shuffled EEG':52}" + "".join(f"{_or_dash(row[c]['shuffled']):>24}" for c in columns))
    guess = next(iter(result["arms"].values()))
    lines.append(f"{'chance':52}" + "".join(f"{_or_dash(guess[c]['chance']):>24}" for c in columns))
    for row in result["differences"]:
        said = [
            f"{column} {value['difference']:+.3f} ({value['interval'][0]:+.3f} to {value['interval'][1]:+.3f})"
            for column, value in row.items()
            if isinstance(value, dict)
        ]
        lines.append(f"{row['of']} less {row['less']}: {', '.join(said)}")
    return "\n".join(lines)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
