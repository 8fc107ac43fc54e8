"""The webui's texts in the languages that localizations/ offers, held against everything that the interface shows.

The hosts replace a text node, a title or a placeholder whose whole text is a key. Of a choice that changes what is
read, never what is sent: gradio 3 and 4 keep the value beside the text (a property of the input, `data-value`, an
index), so choices are translated too. What stands in a field, also what is picked in a dropdown, stays in English.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from core.conditioning.nearest_concepts import Reading
from core.preprocessing.selection import in_seconds
from tests.test_locales import ENGLISH, SIMULATED
from tests.test_locales import read as read_locale
from tests.webui_standin import ROOT, Host, standing_in, tool_button

LOCALIZATIONS = ROOT / "localizations"
# Named as the translations of the host itself are, for files of one name are merged.
LANGUAGES = {"zh_CN": "zh", "ja_JP": "ja", "ko_KR": "ko"}
SCRIPTS = {"zh_CN": "[\u4e00-\u9fff]", "ja_JP": "[\u3040-\u30ff\u4e00-\u9fff]", "ko_KR": "[\uac00-\ud7a3]"}
NOT_BRAIN_DATA = {"zh_CN": "不是真实的脑数据", "ja_JP": "脳のデータではありません", "ko_KR": "뇌 데이터가 아닙니다"}
# The same in every language: units, headsets, files. They are in no file, for a line that changes nothing would still
# take the place of another translation's.
AS_THEY_ARE = re.compile(r"[mun]?V|[a-z]+-\d+|\d[\d-]+|.*\.safetensors")
# Never translated by the hosts: numbers, and what has a pictogram in it.
PASSED_OVER = re.compile("[.\\d]+|.*[\u2600-\u27bf\U0001f300-\U0001faff].*")
KEPT = re.compile(
    r"-?[\w.-]*\d[\w-]*|models/eeg_encoders|eeg_recordings|API|MiB|Hz|webui|"
    r"EDF|BDF|GDF|BrainVision|EEGLAB|FIF|Muse CSV"
)
# Texts that name what a ComfyUI node names too: the node, and where its name stands.
ALSO_IN_COMFYUI = {
    "Recording": ("SDEEG_LoadRecording", "outputs", "0"),
    "Channels": ("SDEEG_Plot", "inputs", "channels"),
    "Windows": ("SDEEG_SelectWindows", "outputs", "0"),
    "Window": ("SDEEG_SelectWindows", "outputs", "0"),
    "Average": ("SDEEG_SelectWindows", "inputs", "choose_average"),
    "Times": ("SDEEG_SelectWindows", "inputs", "choose_times"),
    "Start": ("SDEEG_SelectWindows", "inputs", "choose_start"),
    "End": ("SDEEG_SelectWindows", "inputs", "choose_stop"),
    "Window from (s)": ("SDEEG_SelectWindows", "inputs", "from_s"),
    "Window to (s)": ("SDEEG_SelectWindows", "inputs", "to_s"),
    "Encoder": ("SDEEG_LoadEncoder", "outputs", "0"),
    "Strength": ("SDEEG_Encode", "inputs", "strength"),
    "Mode": ("SDEEG_BlendConditioning", "inputs", "mode"),
    "Confidence": ("SDEEG_Encode", "outputs", "4"),
    "Report": ("SDEEG_Encode", "outputs", "5"),
    "Scenes": ("SDEEG_Phantom", "inputs", "scenes"),
    "Captions": ("SDEEG_Phantom", "inputs", "scenes_captions"),
    "SNR": ("SDEEG_Phantom", "inputs", "snr"),
    "Subject": ("SDEEG_Phantom", "inputs", "subject"),
    "Seed": ("SDEEG_Phantom", "inputs", "seed"),
    "Architecture": ("SDEEG_TrainEncoder", "inputs", "architecture"),
    "Name": ("SDEEG_TrainEncoder", "inputs", "name"),
}
# Words within a line, and what the nodes call them.
WORDS = {
    "EEG\\b": ("脑电", "脳波", "뇌파"),
    "recording": ("记录", "記録", "기록"),
    "window": ("窗", "窓", "구간"),
    "encoder": ("编码器", "エンコーダー", "인코더"),
    "prompt": ("提示词", "プロンプト", "프롬프트"),
    "train mean": ("训练均值", "学習時の平均", "학습 평균"),
    "conditioning": ("条件", "条件付け", "조건"),
    "strength": ("强度", "強度", "강도"),
    "confidence": ("置信度", "信頼度", "신뢰도"),
    "phantom(?!-)": ("体模", "ファントム", "팬텀"),
    "headset": ("头戴设备", "ヘッドセット", "헤드셋"),
    "scenes?\\b": ("场景", "場面", "장면"),
    "labels?\\b": ("标签", "ラベル", "라벨"),
    "events?\\b": ("事件", "イベント", "이벤트"),
    "subject": ("被试", "被験者", "피험자"),
    "text state": ("文本状态", "テキスト状態", "텍스트 상태"),
}


class TextNodes(HTMLParser):
    """The text nodes of HTML, as the hosts see them."""

    def __init__(self, html: str):
        super().__init__()
        self.found: list[str] = []
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.found.append(data.strip())


def choices_of(component: dict[str, Any]) -> list[str]:
    """What a component of gradio's configuration offers; gradio 4 has pairs of what is shown and what is sent."""
    return [one if isinstance(one, str) else one[0] for one in component["props"].get("choices") or ()]


def texts_of(component: dict[str, Any]) -> Iterator[str]:
    """Every text of a component that a page shows, but for what stands in its field."""
    props = component["props"]
    yield from (props.get(name) or "" for name in ("label", "info", "placeholder"))
    yield from choices_of(component)
    if component["type"] == "button":
        yield props["value"]
    if component["type"] == "html":
        yield from TextNodes(props.get("value") or "").found


def made_later(host: Host) -> Iterator[str]:
    """What always stands in the HTML that is made while the tab is used."""
    cards = host.ours("tab.tab_library").cards_table(host.ours("host.host").library())
    yield from TextNodes(cards.partition("<tbody>")[0]).found
    described = host.ours("tab.tab_recording").described("simulated")
    yield from re.findall(r'class="sd-eeg-simulated">([^<]+)<', cards + described)
    reading = Reading("a label", 1.0, 1, (), None, None)
    for space in ("prompts", "clip.image"):
        yield from TextNodes(host.ours("tab.tab_decode").readings_table([reading], space)).found


def translatable(text: str) -> bool:
    passed_over = {"", "#", "a label", in_seconds(1.0)}
    return text not in passed_over and not AS_THEY_ARE.fullmatch(text) and not PASSED_OVER.fullmatch(text)


async def interface(host: Host) -> tuple[list[dict[str, Any]], list[str]]:
    """Build both accordions and the tab as the host does: gradio's components, and what the host itself shows.

    Within a running loop, for outside of one gradio opens some that it never closes.
    """
    import gradio as gr

    said: list[str] = []

    def button_with_tooltip(*args: Any, tooltip: str = "", **kwargs: Any) -> Any:
        said.append(tooltip)
        return tool_button(*args, **kwargs)

    host.ui_components.ToolButton = button_with_tooltip
    with gr.Blocks(analytics_enabled=False) as accordions:
        for is_img2img in (False, True):
            for script in host.runner(is_img2img)[0].alwayson_scripts:
                script.ui(is_img2img)
    [[(tab, title, _)]] = host.callbacks.call("ui_tabs")
    host.callbacks.call("ui_settings")
    settings = host.shared.opts.data_labels.values()
    said += [title, *(one.label for one in settings), *(one.section[1] for one in settings)]
    said += [one.label for data in host.scripts.scripts_data for one in getattr(data.module, "axis_options", ())]
    components = [one for page in (accordions, tab) for one in page.get_config_file()["components"]]
    return components, [text for text in said if text != "Nothing"]


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> dict[str, Any]:
    """Every English text of ours that a host shows, and the choices of each field."""
    with standing_in(tmp_path_factory.mktemp("host")) as host:
        components, said = asyncio.run(interface(host))
        assert host.reported == []
        found = [text for one in components for text in texts_of(one)] + said + list(made_later(host))
    fields = [[text for text in choices_of(one) if translatable(text)] for one in components]
    return {"texts": {text for text in found if translatable(text)}, "fields": fields}


def read(language: str) -> dict[str, str]:
    return json.loads((LOCALIZATIONS / f"{language}.json").read_text(encoding="utf-8"))


def test_there_is_a_file_for_each_language():
    assert {file.stem for file in LOCALIZATIONS.iterdir()} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_holds_what_is_shown_and_nothing_else(shown, language):
    keys = set(read(language))
    assert sorted(shown["texts"] - keys) == [], "missing"
    assert sorted(keys - shown["texts"]) == [], "shown nowhere"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_is_left_in_english(language):
    for english, text in read(language).items():
        assert re.search(SCRIPTS[language], text), english
        assert not ENGLISH.search(text), english
        assert text == text.strip()


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_units_and_names_of_files_are_kept(language):
    for english, text in read(language).items():
        for name in KEPT.findall(english):
            assert name in text, english


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_explanation_names_a_choice_as_it_is_shown(shown, language):
    lines = read(language)
    for choice in {choice for field in shown["fields"] for choice in field}:
        for english in lines:
            if re.search(rf"\b{re.escape(choice)}: ", english):
                assert lines[choice] in lines[english], english


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_choices_of_one_field_differ(shown, language):
    lines = read(language)
    for field in shown["fields"]:
        assert len({lines[choice] for choice in field}) == len(field), field


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_simulated_says_so(language):
    marked = [text for english, text in read(language).items() if "imulated" in english]
    assert len(marked) >= 3
    assert all(SIMULATED[LANGUAGES[language]] in text for text in marked)
    denied = [text for english, text in read(language).items() if re.search("no(t)? brain data", english)]
    assert len(denied) >= 3
    assert all(NOT_BRAIN_DATA[language] in text for text in denied)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_are_those_of_the_nodes(shown, language):
    lines, short = read(language), LANGUAGES[language]
    nodes = read_locale(short)
    for english, (node, part, name) in ALSO_IN_COMFYUI.items():
        if english in shown["texts"]:
            assert lines[english] == nodes[node][part][name]["name"], english
    assert lines["EEG"] == read_locale(short, "main")["nodeCategories"]["EEG"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_line_uses_the_words_of_the_nodes(language):
    nodes = json.dumps(read_locale(LANGUAGES[language]), ensure_ascii=False)
    for english, text in read(language).items():
        for word, translated in WORDS.items():
            one = translated[list(LANGUAGES).index(language)]
            assert one in nodes
            if re.search(rf"\b{word}", english, re.IGNORECASE):
                assert one in text, english
