"""The encoder library: which files there are, and the card of each."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr

from ..folders.library import Library
from ..generation.fields import Sources
from ..messages import note, shown


def build_library(sources: Sources, topic: Any, choices: list[Any], prefix: str) -> tuple[Any, Any]:
    """Build the list and the card of one encoder; files are looked for each time the topic's tab is opened.

    topic: the gr.Tab it stands in. choices: further dropdowns of encoders, which are renewed with it. Returns the list
    and the choice of a card, which a training that saves a file renews.
    """
    with gr.Row():
        chosen = gr.Dropdown([], value=None, label="Card of", elem_id=f"{prefix}_chosen")
        refresh = gr.Button("Look for files again", elem_id=f"{prefix}_refresh", min_width=240, scale=0)
    card = gr.HTML("", elem_id=f"{prefix}_card_status")
    listed = gr.HTML("", elem_id=f"{prefix}_listed")

    def show_card(name: str | None) -> str:
        return card_of(sources.library, name or "")

    def look_again() -> list[Any]:
        again = gr.update(choices=sources.library.names())
        return [cards_table(sources.library), again, *[again for _ in choices]]

    chosen.change(show_card, [chosen], [card], show_progress="hidden")
    for event in (topic.select, refresh.click):
        event(look_again, [], [listed, chosen, *choices], show_progress="hidden")
    return listed, chosen


@shown(1)
def card_of(library: Library, name: str) -> str:
    """Return an encoder's card as HTML; what is wrong with its file stands there instead."""
    return note(library.load(name).card_text()) if name else ""


def cards_table(library: Library) -> str:
    """Return every encoder file with what its card says first, as a table in HTML."""
    rows = []
    for one in library.cards():
        card = one["card"] if isinstance(one["card"], dict) else {}
        simulated = '<span class="sd-eeg-simulated">simulated</span>' if card.get("simulated") else ""
        if one["error"]:
            said = f'<div class="sd-eeg-alert" role="alert">{html.escape(one["error"])}</div>'
        else:
            said = html.escape(str(card.get("summary") or card.get("data") or card.get("credit") or ""))
        metrics = card.get("metrics")
        first = next(iter(metrics.items()), None) if isinstance(metrics, dict) else None
        score = "" if first is None else html.escape(f"{first[0]}: {first[1]}")
        name = f"<b>{html.escape(str(card.get('name', '')))}</b> {simulated}<small>{html.escape(one['name'])}</small>"
        rows.append(f"<tr><td>{name}</td><td>{said}</td><td>{score}</td></tr>")
    if not rows:
        return note("No encoders yet: train one, or put .safetensors files into " + str(library.folders[0]))
    return (
        '<div class="sd-eeg-scroll"><table class="sd-eeg-table"><thead><tr><th>Encoder</th><th>What it is</th>'
        f"<th>Its score</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
