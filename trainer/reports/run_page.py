"""The report as one HTML page: verdict, scores beside their baselines, pictures, checks, details, provenance.

Everything that came from outside passes through `escape`; the page allows itself no script and no network.
"""

from html import escape
from pathlib import Path
from typing import Any

from .charts import attribute_bars, confusion_table, number, score_strip, training_curve

STYLE = Path(__file__).with_name("run_page.css")
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
LEVEL = 0.05
MANY_PICTURES = 6  # a trial: with more, each trial has the page's width
EXPLAINED = {
    "seen": "what was shown",
    "decoded": "what was drawn from the EEG",
    "from caption": "what the same diffusion model draws from the true caption, the most it could do",
    "nearest": "the test picture nearest to what was decoded",
}


def page(report: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Return the page for a report in plain JSON values and picture rows as `report.picture_rows` makes them."""
    simulated, title = bool(report.get("simulated")), escape(report["title"])
    parts = [
        _scores(report.get("scores") or [], simulated),
        _pictures(rows, simulated),
        _checks(report.get("checks") or []),
        _sections(report.get("sections") or []),
        _curve(report.get("curve") or []),
        _provenance(report.get("provenance") or {}),
    ]
    verdict = _verdict(report["verdict"], report.get("checks") or [])
    return document(
        report["title"],
        f"""{verdict}
{banner() if simulated else ""}
<main>
<header class="title">
<h1>{title}</h1>
{_lede(report.get("scores") or [])}
</header>
{"".join(part for part in parts if part)}
</main>""",
        simulated,
    )


def document(title: str, body: str, simulated: bool = False, style: str = "") -> str:
    """Return a whole page: `body` is HTML, `title` any text; no script and no network, light and dark.

    simulated: the title says Phantom. style: CSS beside run_page.css.
    """
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{"Phantom: " if simulated else ""}{escape(title)}</title>
<style>
{STYLE.read_text(encoding="utf-8")}{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _verdict(first: str, checks: list[dict]) -> str:
    failed = [check for check in checks if check.get("passed") is False]
    if failed:
        told = "".join(f"<li>{escape(check['sentence'])}</li>" for check in failed)
        return (
            f'<div class="verdict bad"><p><span class="mark" aria-hidden="true">✕</span>'
            f"<strong>{escape(first)}</strong></p>"
            f"<ul>{told}</ul></div>"
        )
    if not checks:
        return (
            '<div class="verdict open"><p><span class="mark" aria-hidden="true">–</span>'
            f"<strong>{escape(first)}</strong></p></div>"
        )
    return (
        '<div class="verdict good"><p><span class="mark" aria-hidden="true">✓</span>'
        f"<strong>{escape(first)}</strong></p></div>"
    )


def banner() -> str:
    """Return the line that says that what follows is simulated."""
    return (
        '<div class="phantom" role="note"><p><strong>Phantom: simulated EEG, not brain data.</strong> '
        "Pictures, brain and diffusion model are made by the program, so the truth is known.</p></div>"
    )


def _lede(scores: list[dict]) -> str:
    if not scores or scores[0].get("value") is None:
        return ""
    first = scores[0]
    beside = [f"guessing gets {number(first['chance'])}"] if first.get("chance") is not None else []
    if first.get("ceiling") is not None:
        beside.append(f"the ceiling is {number(first['ceiling'])}")
    where = f", where {' and '.join(beside)}" if beside else ""
    return f'<p class="lede">{escape(first["name"])} is <strong>{number(first["value"])}</strong>{where}.</p>'


def titled_section(title: str, body: str, simulated: bool = False, name: str = "") -> str:
    """Return a section of HTML under a heading, tagged as phantom where `simulated`; `name` is its CSS class."""
    tag = ' <span class="tag">phantom</span>' if simulated else ""
    return f'<section class="{name}"><h2>{escape(title)}{tag}</h2>\n{body}</section>\n'


def _scores(scores: list[dict], simulated: bool) -> str:
    if not scores:
        return ""
    head = ("Score", "", "Value", "Chance", "Train mean", "Shuffled EEG", "Ceiling", "p")
    hints = {
        "Chance": "what guessing gets",
        "Train mean": "the training average as the answer to every trial",
        "Shuffled EEG": "the same decoder with EEG and picture mixed up, on average",
        "Ceiling": ("the ideal observer that knows how the phantom was made, or " if simulated else "")
        + "what the row's note says",
        "p": "share of shuffles at least as good",
    }
    if not any(row.get("ceiling") is not None for row in scores):
        hints.pop("Ceiling")
    cells = "".join(
        f'<th scope="col" role="columnheader"{" class=strip" if not name else ""}>'
        f"{name or '<span class=unseen>Drawn on its scale</span>'}</th>"
        for name in head
    )
    rows = "\n".join(_score_row(row) for row in scores)
    key = "".join(
        f'<div><dt><i class="key {name.split()[0].lower()}" aria-hidden="true"></i>{name}</dt><dd>{hint}</dd></div>'
        for name, hint in hints.items()
    )
    value_key = '<div><dt><i class="key value" aria-hidden="true"></i>Value</dt><dd>with its 95 % interval</dd></div>'
    body = (
        f'<table class="scores" role="table"><thead role="rowgroup"><tr role="row">{cells}</tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table>\n<dl class="legend">{value_key}{key}</dl>'
    )
    return titled_section("Scores", body, simulated)


def _score_row(row: dict) -> str:
    baselines, interval, p = row.get("baselines") or {}, row.get("interval"), row.get("p_value")
    low_high = f"{number(interval[0])} to {number(interval[1])}" if interval and None not in interval else ""
    others = [
        f"{escape(name)} {number(value)}"
        for name, value in baselines.items()
        if name not in ("train mean", "shuffled EEG")
    ]
    small = [f"{row['n']} trials" if row.get("n") is not None else "", escape(row.get("note") or ""), *others]
    note = "".join(f"<small>{text}</small>" for text in small if text)
    weak = p is not None and p > LEVEL
    doubts = ["not above chance"] if weak else []
    if None not in (row.get("value"), baselines.get("train mean")) and row["value"] < baselines["train mean"]:
        doubts.append("below the train mean")
    doubt = "".join(f'<span class="weak">{text}</span>' for text in doubts)
    dim = ' class="dim"' if weak else ""
    family = f" (Holm {row['p_holm']:.2g})" if row.get("p_holm") is not None else ""
    cells = (
        ("Chance", number(row.get("chance"))),
        ("Train mean", number(baselines.get("train mean"))),
        ("Shuffled EEG", number(baselines.get("shuffled EEG"))),
        ("Ceiling", number(row.get("ceiling"))),
        ("p", f"{p:.2g}{family}" if p is not None else "–"),
    )
    tail = "".join(f'<td role="cell" data-name="{name}">{value}</td>' for name, value in cells)
    return (
        f'<tr role="row"{dim}><th scope="row" role="rowheader">{escape(row["name"])}{note}</th>'
        f'<td role="cell" class="strip" aria-hidden="true">{score_strip(row)}</td>'
        f'<td role="cell" class="value"><strong>{number(row.get("value"))}</strong>'
        f"<small>{low_high}</small>{doubt}</td>{tail}</tr>"
    )


def _pictures(rows: list[dict], simulated: bool) -> str:
    if not rows:
        return ""
    names = [name for name, *_ in rows[0]["pictures"]]
    told = "; ".join(f"<b>{escape(name)}</b>: {EXPLAINED[name]}" for name in names if name in EXPLAINED)
    cards = []
    for row in rows:
        shown = ""
        for name, uri, own, width in row["pictures"]:
            what = (
                f"{name}: {own or row['caption']}"
                if own or name == "seen"
                else f"{name}, trial shown as {row['caption']}"
            )
            small = " small" if width <= 96 else ""
            under = f'<span class="own">{escape(own)}</span>' if own else ""
            image = f'<img class="picture{small}" src="{uri}" alt="{escape(what)}">'
            shown += f"<li>{image}<span>{escape(name)}</span>{under}</li>"
        cards.append(f"<figure><figcaption>{escape(row['caption'])}</figcaption><ul>{shown}</ul></figure>")
    of = "simulated EEG" if simulated else "EEG"
    intro = f'<p class="intro">Held-out trials in order, not chosen, decoded from {of}. {told}.</p>'
    kind = "many" if len(names) > MANY_PICTURES else f"of-{len(names)}"
    return titled_section("Pictures", f'{intro}<div class="grid {kind}">{"".join(cards)}</div>', simulated, "pictures")


def _checks(checks: list[dict]) -> str:
    if not checks:
        return ""
    words = {True: ("good", "✓", "passed"), False: ("bad", "✕", "failed"), None: ("open", "–", "not checked")}
    items = ""
    for check in sorted(checks, key=lambda check: check.get("passed") is not False):
        kind, mark, word = words[check.get("passed")]
        items += (
            f'<li class="{kind}"><span class="mark" aria-hidden="true">{mark}</span><div><h3>{escape(check["name"])} '
            f'<span class="word">{word}</span></h3><p>{escape(check["sentence"])}</p></div></li>'
        )
    return titled_section("Leak checks", f'<ul class="checks">{items}</ul>')


def _sections(sections: list[dict]) -> str:
    large, small = "", ""
    for section in sections:
        body = f'<p class="intro">{escape(section["text"])}</p>' if section.get("text") else ""
        if section.get("attributes"):
            body += attribute_bars(section["attributes"])
        if section.get("confusion"):
            body += confusion_table(section["confusion"]["labels"], section["confusion"]["counts"])
        if section.get("picture"):
            what = escape(f"{section['title']}: {section.get('text') or ''}")
            body += f'<img class="sheet" src="{escape(section["picture"])}" alt="{what}">'
        table = section.get("table")
        if isinstance(table, list):
            body += rows_table(table)
        elif table:
            body += pairs(table)
        if isinstance(table, dict) and not section.get("attributes") and not section.get("confusion"):
            small += f'<div class="detail"><h3>{escape(section["title"])}</h3>{body}</div>'
        else:
            large += titled_section(section["title"], body)
    return large + (titled_section("Details", f'<div class="details">{small}</div>') if small else "")


def with_section(html: str, section: dict[str, Any]) -> str:
    """Return a page with one more section before its provenance, or with the section of that title replaced."""
    title = escape(section["title"]).replace("--", "-")
    begin, end = f"<!-- added: {title} -->", f"<!-- end: {title} -->"
    body = f"{begin}{_sections([section])}{end}\n"
    before, found, rest = html.partition(begin)
    if found:
        return before + body + rest.partition(end)[2].lstrip("\n")
    place = html.find('<section class="provenance">')
    place = html.rfind("</main>") if place < 0 else place
    return html[:place] + body + html[place:]


def _curve(curve: list[dict]) -> str:
    drawn = training_curve(curve)
    return titled_section("Training", drawn) if drawn else ""


def _provenance(provenance: dict) -> str:
    known = {key: value for key, value in provenance.items() if value not in (None, "", [], {})}
    return titled_section("Where this comes from", pairs(known), name="provenance") if known else ""


def pairs(table: dict) -> str:
    """Return names and values (plain JSON) as a list of pairs; everything is escaped."""
    listed = "".join(f"<div><dt>{escape(key)}</dt><dd>{_value(value)}</dd></div>" for key, value in table.items())
    return f'<dl class="pairs">{listed}</dl>'


def rows_table(table: list[dict]) -> str:
    """Return rows of plain JSON values as a table that scrolls sideways; everything is escaped."""
    columns = list(dict.fromkeys(key for row in table for key in row))
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_value(row.get(column))}</td>' for column in columns)}</tr>" for row in table)
    drawn = f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll" tabindex="0">{drawn}</div>'


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict):
        return ", ".join(f"{escape(str(key))} {_value(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value)
    return escape(str(value)) if value not in (None, "") else "–"
