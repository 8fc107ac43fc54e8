"""A recording's page: one HTML file with what is known of it and what it looks like; no script, no network."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from core.recording import Recording

from ..quality.line_noise import STRONG_DB, excerpt
from ..quality.quality_text import rate_text
from ..quality.recording_facts import facts_of, length_text, noise_text
from .charts import number
from .recording_pictures import band_maps, spectrogram, spectrum, traces
from .run_page import banner, document, pairs, rows_table, titled_section

STYLE = Path(__file__).with_name("recording_page.css")
MAX_ROWS, MAX_TICKS, MAX_CHANNELS = 12, 2000, 300


def describe_page(recording: Recording, facts: dict[str, Any] | None = None) -> str:
    """Return the page of a recording; facts: as `recording_facts.facts_of` gives them."""
    facts = facts or facts_of(recording)
    simulated, few = facts["simulated"], excerpt(recording, 300.0)
    body = [
        _facts(facts),
        _drawn("Traces", lambda: _with_words(*traces(recording, _mains(facts))), simulated),
        _events(recording, facts),
        _drawn("Power spectrum", lambda: _with_words(spectrum(few), _thinned(recording, few)), simulated),
        _drawn(
            "Band power",
            lambda: _with_words(band_maps(excerpt(few, 120.0)), "Seen from above, nose up."),
            simulated,
        ),
        _drawn("Over time and frequency", lambda: _with_words(*spectrogram(recording)), simulated),
        _channels(facts),
        _said(facts),
        titled_section("Where this comes from", pairs(_provenance(facts)), name="provenance"),
    ]
    title = facts["file"]
    main = f"""{banner() if simulated else ""}
<main>
<header class="title">
<h1>{_breakable(title)}</h1>
{_lede(facts)}
</header>
{"".join(body)}
</main>"""
    return document(title, main, simulated, STYLE.read_text(encoding="utf-8"))


def _mains(facts: dict[str, Any]) -> list[float]:
    """Return the frequencies of the mains (Hz) that stand out so far that traces would show nothing else."""
    return [float(line) for line, one in facts["line_noise"].items() if one and one["median_db"] >= STRONG_DB]


def _lede(facts: dict[str, Any]) -> str:
    kinds = facts["events"]["labels"]
    events = f", {_count(facts['events']['n'], 'event')} of {_count(len(kinds), 'label')}" if kinds else ", no events"
    what = (
        f"{_count(facts['n_channels'], 'channel')}, {length_text(facts['duration_s'])} at {facts['sfreq']:g} Hz{events}"
    )
    return f'<p class="lede"><strong>{escape(what)}.</strong></p>'


def _facts(facts: dict[str, Any]) -> str:
    pieces, values = facts["segments"], [one["amplitude_uv"] for one in facts["channels"]]
    table = {
        "format": facts["format"]
        + (f", recognised {facts['source'].get('recognised')}" if facts["source"].get("recognised") else ""),
        "units": facts["units"],
        "rate": rate_text(facts["timing"], facts["sfreq"]),
        "segments": "one"
        if pieces["n"] == 1
        else f"{pieces['n']}, {pieces['shortest_s']:.3g} to {pieces['longest_s']:.3g} s",
        "amplitude": f"{number(min(values))} to {number(max(values))} µV (robust standard deviation above 0.5 Hz)",
        "line noise": noise_text(facts["line_noise"]),
        "places": facts["montage"],
        "reference": facts["reference"],
    }
    known = [(key, value) for key, value in table.items() if value]
    half = (len(known) + 1) // 2
    columns = "".join(pairs(dict(part)) for part in (known[:half], known[half:]))
    return titled_section("At a glance", f'<div class="facts">{columns}</div>')


def _events(recording: Recording, facts: dict[str, Any]) -> str:
    rows = facts["events"]["labels"]
    if not rows:
        return titled_section("Events", '<p class="intro">None.</p>')
    strips = ""
    length = max(recording.duration, 1e-9)
    for row in rows[:MAX_ROWS]:
        onsets = [event.onset / length for event in recording.events if event.label == row["label"]]
        strips += _strip(f"{escape(row['label'])} <small>{row['count']}</small>", onsets)
    if len(recording.segments) > 1:
        strips += _strip("segments", [start / recording.n_times for start in recording.segments], "gap")
    axis = f'<div class="axis"><span>0 s</span><span>{length / 2:.4g}</span><span>{length:.4g} s</span></div>'
    more = (
        f'<p class="intro">{len(rows) - MAX_ROWS} more labels are in the table only.</p>'
        if len(rows) > MAX_ROWS
        else ""
    )
    table = [
        {
            "label": row["label"],
            "events": row["count"],
            "first (s)": row["first_s"],
            "last (s)": row["last_s"],
            "usual step (s)": row["step_s"],
            "least step (s)": row["least_step_s"],
            "lasts (s)": row["duration_s"],
        }
        for row in rows[:MAX_CHANNELS]
    ]
    return titled_section(
        "Events", f'<div class="timeline">{strips}{axis}</div>{more}{rows_table(table)}', facts["simulated"], "events"
    )


def _strip(name: str, places: list[float], kind: str = "") -> str:
    """Return a row of the timeline: its name and a line at each place in [0, 1]."""
    shown = sorted({min(max(round(place * MAX_TICKS), 0), MAX_TICKS) for place in places})
    lines = "".join(f"M{place} 0V10" for place in shown)
    drawn = (
        f'<svg class="{kind}" viewBox="0 0 {MAX_TICKS} 10" preserveAspectRatio="none" role="img" '
        f'aria-label="{len(places)} times"><path d="{lines}"/></svg>'
    )
    return f'<div class="name">{name}</div>{drawn}'


def _channels(facts: dict[str, Any]) -> str:
    rows, any_removed = [], any(one["offset_removed_uv"] is not None for one in facts["channels"])
    for one in facts["channels"][:MAX_CHANNELS]:
        row = {"channel": one["name"], "place": one["place"], "amplitude": one["amplitude_uv"]}
        if any_removed:
            row["offset taken off"] = one["offset_removed_uv"]
        row |= {"offset": one["offset_uv"], "peak to peak": one["peak_to_peak_uv"], **one.get("bands_uv", {})}
        rows.append(row)
    more = len(facts["channels"]) - MAX_CHANNELS
    after = f'<p class="intro">And {more} more.</p>' if more > 0 else ""
    words = (
        "In microvolts: amplitude is the robust standard deviation above 0.5 Hz, offset the median, bands are root "
        "mean squares."
    )
    table = f'<p class="intro">{words}</p><div class="channels">{rows_table(rows)}</div>{after}'
    return titled_section("Channels", table, facts["simulated"])


def _said(facts: dict[str, Any]) -> str:
    items = "".join(
        f"<li><b>{escape(', '.join(names))}</b> <span>left out: {escape(reason)}</span></li>"
        for reason, names in facts["dropped"].items()
    )
    items += "".join(f"<li><b>Repaired</b> <span>{escape(sentence)}</span></li>" for sentence in facts["repaired"])
    items += "".join(f"<li><b>Note</b> <span>{escape(note)}</span></li>" for note in facts["notes"])
    if not items:
        return titled_section("Left out and repaired", '<p class="intro">Nothing.</p>')
    return titled_section("Left out and repaired", f'<ul class="said">{items}</ul>')


def _provenance(facts: dict[str, Any]) -> dict[str, Any]:
    known = {"file": facts["file"]}
    if facts["bytes"]:
        known["size"] = f"{facts['bytes']} bytes"
    if facts["sha256"]:
        known["SHA-256"] = facts["sha256"]
    known |= {
        f"timing: {key.replace('_', ' ')}": f"{value:.7g}" if isinstance(value, float) else value
        for key, value in facts["timing"].items()
    }
    known |= {key.replace("_", " "): value for key, value in facts["source"].items() if value not in (None, "", [], {})}
    return known


def _drawn(title: str, draw: Callable[[], str], simulated: bool) -> str:
    """Return a section with a drawing, or with the reason why there is none."""
    try:
        body = draw()
    except ValueError as error:
        body = f'<p class="intro">Not drawn: {escape(" ".join(str(error).split()))}.</p>'
    return titled_section(title, body, simulated)


def _with_words(drawn: str, words: str) -> str:
    return drawn + (f'<p class="intro">{escape(words)}</p>' if words else "")


def _thinned(recording: Recording, few: Recording) -> str:
    if few is recording:
        return ""
    return f"From {length_text(few.duration)} in stretches spread over the recording."


def _breakable(name: str) -> str:
    """Return a file's name as HTML that may break where its parts meet."""
    text = escape(name)
    for joint in "_-.":
        text = text.replace(joint, f"{joint}<wbr>")
    return text


def _count(n: int, noun: str) -> str:
    return f"one {noun}" if n == 1 else f"{n} {noun}s"
