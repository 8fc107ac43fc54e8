"""The webui's texts in the languages that localizations/ offers, held against everything that the interface shows.

The hosts replace a text node, a title or a placeholder whose whole text is a key. Of a choice that changes what is read,
never what is sent: gradio 3 and 4 both keep the value beside the text (an input's property, `data-value`, an index), so
choices are translated too. What stands in a field (also what is picked in a dropdown) they leave as it is.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.small_encoders import noise_recording
from tests.webui_standin import ROOT, Host, standing_in, tool_button

LOCALIZATIONS = ROOT / "localizations"
# The names under which the translations of the host itself come: files of one name are merged.
LANGUAGES = {"zh_CN": "zh", "ja_JP": "ja", "ko_KR": "ko"}
SCRIPTS = {"zh_CN": "[\u4e00-\u9fff]", "ja_JP": "[\u3040-\u30ff\u4e00-\u9fff]", "ko_KR": "[\uac00-\ud7a3]"}
SIMULATED = {"zh_CN": "模拟", "ja_JP": "シミュレーション", "ko_KR": "시뮬레이션"}
NO_BRAIN_DATA = {"zh_CN": "不是.*脑数据", "ja_JP": "脳のデータではありません", "ko_KR": "뇌 데이터가 아닙니다"}
AS_THEY_ARE = {"V", "mV", "uV", "nV"}  # and headsets and files, whose names have a digit or a suffix
NAME = re.compile(r"[a-z0-9-]*\d[a-z0-9-]*|.*\.safetensors")
NOT_TRANSLATED = re.compile(  # by the hosts: numbers, and what has an emoji in it
    "[.\\d]+|.*[\U0001f300-\U0001faff\u2600-\u27bf].*"
)
KEPT = re.compile(r"\d+(?:\.\d+)?|\b(?:EDF|BDF|GDF|BrainVision|EEGLAB|FIF|Muse CSV|MiB|Hz|SIZE|SHAPE|PLACE|API)\b|models/eeg_encoders|eeg_recordings|txt2img|img2img|[\w-]+\d-?\d*\b")  # fmt: skip


class Texts(HTMLParser):
    """The text nodes of HTML, as the hosts' scripts see them."""

    def __init__(self, html: str):
        super().__init__()
        self.found: list[str] = []
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.found.append(data.strip())


def texts_of(component: dict[str, Any]) -> Iterator[str]:
    """Every text of a component, as gradio's configuration describes it, that a page shows outside of fields."""
    kind, props = component["type"], component["props"]
    for name in ("label", "info", "placeholder"):
        yield props.get(name) or ""
    if kind == "button":
        yield props["value"]
    if kind == "html":
        yield from Texts(props.get("value") or "").found
    for choice in props.get("choices") or ():
        yield str(choice if isinstance(choice, str) else choice[0])


def page_texts(page: Any) -> Iterator[str]:
    for component in page.get_config_file()["components"]:
        yield from texts_of(component)


def shown_later(host: Host) -> Iterator[str]:
    """What stands in HTML that is made while the tab is used and is always the same."""
    core = "sd_eeg.core"
    shelf, library = host.ours("host").shelf(), host.ours("host").library()
    recordings = host.ours("tab_recording")
    yield from Texts(host.ours("tab_library").cards_table(library)).found
    return


def texts(host: Host) -> set[str]:
    return set()


def test_x(tmp_path):
    import gradio as gr
    async def make():
      with standing_in(tmp_path) as host:
        for is_img2img in (False, True):
            pass
        host.ui_components.ToolButton = tool_button
        for is_img2img in (False, True):
            host.interface(is_img2img)
        [[(page, title, _)]] = host.callbacks.call("ui_tabs")
        print(title)
        return page, host
    with standing_in(tmp_path) as host:
        host.interface(False), host.interface(True)
        [[(page, title, _)]] = host.callbacks.call("ui_tabs")
        print(host.reported)
        for c in page.get_config_file()["components"]:
            print(c["type"], list(texts_of(c)))
