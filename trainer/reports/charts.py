"""The report's drawings, in HTML and inline SVG without script: score strips, bars, confusion tables, training curves.

Text is HTML beside the drawing and never inside it, so that it keeps its size on a phone.
"""

import math
from html import escape

MAX_NUMBERED = 16  # classes; a larger confusion table shows colours only


def number(value: float | None) -> str:
    """Return a figure with three decimals (three digits from 10 up) and a real minus sign; "–" for none."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return str(value).replace("-", "−")
    size = abs(value)
    if size and (size < 5e-4 or size >= 1e5):
        return f"{value:.2g}".replace("-", "−")
    return f"{value:.{3 if size < 10 else 1 if size < 1000 else 0}f}".replace("-", "−")


def score_strip(row: dict) -> str:
    """Return one score on its scale: value and interval over marks for chance, train mean, shuffled EEG and ceiling."""
    baselines, interval = row.get("baselines") or {}, row.get("interval") or []
    marks = {
        "chance": row.get("chance"),
        "ceiling": row.get("ceiling"),
        "train": baselines.get("train mean"),
        "shuffled": baselines.get("shuffled EEG"),
        "value": row.get("value"),
    }
    known = [value for value in [*marks.values(), *interval] if value is not None]
    low, high = min([0.0, *known]), max([1.0, *known])

    def place(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.2f}%"

    drawn = ""
    if len(interval) == 2 and None not in interval:
        drawn += f'<i class="interval" style="left:{place(interval[0])};right:calc(100% - {place(interval[1])})"></i>'
    drawn += "".join(
        f'<i class="{k}" style="left:{place(value)}"></i>' for k, value in marks.items() if value is not None
    )
    return f'<div class="scale">{drawn}</div>'


def attribute_bars(attributes: dict[str, dict[str, float]]) -> str:
    """Return a table of bars: a row for each attribute, a column for each series; `chance` marks each bar."""
    series = list(dict.fromkeys(name for values in attributes.values() for name in values if name != "chance"))
    has_chance = any("chance" in values for values in attributes.values())
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in series)
    rows = ""
    for attribute, values in attributes.items():
        chance = values.get("chance")
        mark = f'<i class="chance" style="left:{100 * chance:.1f}%"></i>' if chance is not None else ""
        cells = ""
        for i, name in enumerate(series):
            value = values.get(name)
            width = 100 * min(max(value or 0.0, 0.0), 1.0)
            fill = f'<i class="fill s{min(i, 2)}" style="width:{width:.1f}%"></i>'
            cells += f'<td><div class="bar" aria-hidden="true">{fill}{mark}</div><span>{number(value)}</span></td>'
        cells += f"<td class=plain>{number(chance)}</td>" if has_chance else ""
        rows += f'<tr><th scope="row">{escape(attribute)}</th>{cells}</tr>'
    head += '<th scope="col">chance</th>' if has_chance else ""
    return f'<table class="bars"><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>'


def confusion_table(labels: list[str], counts: list[list[float]]) -> str:
    """Return a confusion table: rows are what was shown, columns what was decoded, shaded by the row's share."""
    numbered = len(labels) <= MAX_NUMBERED
    head = "".join(f'<th scope="col"><span>{escape(label)}</span></th>' for label in labels)
    rows = ""
    for i, (label, row) in enumerate(zip(labels, counts, strict=True)):
        total, cells = sum(row) or 1.0, ""
        for j, count in enumerate(row):
            share = count / total
            text = f"{count:g}" if numbered else f'<span class="unseen">{count:g}</span>'
            kind = ' class="hit"' if i == j else ""
            cells += f'<td{kind} style="--share:{share:.3f}">{text}</td>'
        rows += f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>'
    return (
        '<div class="scroll" tabindex="0"><table class="confusion"><caption>Rows: shown. Columns: decoded.</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def training_curve(curve: list[dict]) -> str:
    """Return the losses over epochs, the best validation epoch marked; "" where fewer than two epochs were run."""
    rows = [row for row in curve if row.get("epoch") is not None and not row.get("stage")]  # the heads' training
    names = [name for name in ("train_loss", "val_loss") if sum(row.get(name) is not None for row in rows) > 1]
    if not names:
        return ""
    lines = {name: [(row["epoch"], row[name]) for row in rows if row.get(name) is not None] for name in names}
    values = [value for line in lines.values() for _, value in line]
    first, last = rows[0]["epoch"], max(rows[-1]["epoch"], rows[0]["epoch"] + 1)
    ticks = nice_ticks(min(values), max(values))
    low, high = min(ticks[0], *values), max(ticks[-1], *values)

    def x(epoch: float) -> float:
        return 100 * (epoch - first) / (last - first)

    def y(value: float) -> float:
        return 100 - 100 * (value - low) / ((high - low) or 1.0)

    drawn, key = "", ""
    for name, line in lines.items():
        points = " ".join(f"{x(epoch):.2f},{y(value):.2f}" for epoch, value in line)
        drawn += f'<polyline class="{name}" points="{points}" vector-effect="non-scaling-stroke"/>'
        key += f'<li><i class="line {name}"></i>{"training loss" if name == "train_loss" else "validation loss"}</li>'
    grid = "".join(f'<i class="gridline" style="top:{y(t):.2f}%"><span>{t:g}</span></i>' for t in ticks)
    ends = [t for t in nice_ticks(first, last, 5) if first <= t <= last and t == int(t)]
    below = "".join(f'<span style="left:{x(t):.2f}%">{t:g}</span>' for t in ends)
    told = "Training loss over epochs."
    best = ""
    if "val_loss" in lines:
        epoch, value = min(lines["val_loss"], key=lambda point: point[1])
        best = f'<i class="best" style="left:{x(epoch):.2f}%;top:{y(value):.2f}%"></i>'
        key += f'<li><i class="best"></i>best, epoch {epoch:g}: {number(value)}</li>'
        told = f"Training and validation loss over epochs; validation is lowest, {number(value)}, at epoch {epoch:g}."
    svg = f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'
    return (
        f'<figure class="curve"><div class="plot" role="img" aria-label="{escape(told)}">{grid}{svg}{best}</div>'
        f'<div class="epochs" aria-hidden="true">{below}</div><figcaption><ul>{key}</ul>'
        "<span>epoch</span></figcaption></figure>"
    )


def nice_ticks(low: float, high: float, n: int = 4) -> list[float]:
    """Return about n round numbers from below low to at most high."""
    span = (high - low) or abs(high) or 1.0
    rough = span / n
    size = 10.0 ** math.floor(math.log10(rough))
    step = min((m * size for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - rough))
    start = math.floor(low / step + 1e-9)
    return [round(i * step, 10) for i in range(start, math.floor(high / step + 1e-9) + 1)]
