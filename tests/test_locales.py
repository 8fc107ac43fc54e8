"""The nodes' names and tooltips in the languages that locales/ offers, held against the nodes themselves."""

import json
import re

import pytest

from tests.comfy_standin import ROOT, Option, all_inputs

LOCALES = ROOT / "locales"
SCRIPTS = {"zh": "[\u4e00-\u9fff]", "ja": "[\u3040-\u30ff\u4e00-\u9fff]", "ko": "[\uac00-\ud7a3]"}
SIMULATED = {"en": "imulat", "zh": "模拟", "ja": "シミュレーション", "ko": "시뮬레이션"}
KEPT = {"clip", "vae", "VAE"}  # ComfyUI's own translations leave these names as they are
ENGLISH = re.compile(r"\b[a-z]+(?: [a-z]+){3,}\b")
CODE = re.compile(r"`([^`]+)`")


def read(language: str, name: str = "nodeDefs") -> dict:
    return json.loads((LOCALES / language / f"{name}.json").read_text(encoding="utf-8"))


def texts(entry: dict, path: tuple = ()):
    """Every text of a locale file with the keys that lead to it."""
    for key, value in entry.items():
        if isinstance(value, dict):
            yield from texts(value, (*path, key))
        else:
            yield (*path, key), value


def named(name: str, tooltip: str | None) -> dict:
    return {"name": name, "tooltip": tooltip} if tooltip else {"name": name}


def in_english(schema) -> dict:
    """What the front end shows where nothing is translated; it writes `choose.label` as `choose_label`."""
    return {
        "display_name": schema.display_name,
        "description": schema.description,
        "inputs": {
            key.replace(".", "_"): named(key.rpartition(".")[2], item.tooltip)
            for key, item in all_inputs(schema).items()
        },
        "outputs": {str(i): named(item.display_name, item.tooltip) for i, item in enumerate(schema.outputs)},
    }


def test_the_english_texts_are_the_nodes_own(schemas):
    assert read("en") == {node_id: in_english(schema) for node_id, schema in schemas.items()}


def test_four_languages_are_there():
    assert sorted(folder.name for folder in LOCALES.iterdir()) == ["en", *sorted(SCRIPTS)]


@pytest.mark.parametrize("language", SCRIPTS)
def test_every_text_is_translated_and_nothing_is_left_over(language):
    english, translated = dict(texts(read("en"))), dict(texts(read(language)))
    assert translated.keys() == english.keys()
    for path, text in translated.items():
        assert re.search(SCRIPTS[language], text) or text in KEPT, (path, text)
        assert not ENGLISH.search(CODE.sub("", text)), (path, text)


def test_japanese_sentences_are_japanese():
    for path, text in texts(read("ja")):
        if len(text) > 12:
            assert re.search("[\u3040-\u30ff]", text), (path, text)


@pytest.mark.parametrize("language", SCRIPTS)
def test_what_a_person_types_or_chooses_is_not_translated(language, schemas):
    english, translated = dict(texts(read("en"))), dict(texts(read(language)))
    for path, text in english.items():
        assert set(CODE.findall(text)) == set(CODE.findall(translated[path])), path
    for node_id, schema in schemas.items():
        for key, item in all_inputs(schema).items():
            offered = (o.key if isinstance(o, Option) else o for o in item.options.get("options") or ())
            for choice in offered:
                if len(choice) > 3 and re.search(rf"\b{re.escape(choice)}\b", item.tooltip or ""):
                    path = (node_id, "inputs", key.replace(".", "_"), "tooltip")
                    assert choice in translated[path], (path, choice)


@pytest.mark.parametrize("language", ["en", *SCRIPTS])
def test_whatever_is_simulated_says_so_in_every_language(language, schemas):
    simulated = [node_id for node_id, schema in schemas.items() if "simulated" in schema.display_name]
    assert simulated == ["SDEEG_Phantom", "SDEEG_LoadPhantomWorld"]
    for node_id in simulated:
        assert SIMULATED[language] in read(language)[node_id]["display_name"]
    phantom = read(language)["SDEEG_Phantom"]
    assert SIMULATED[language] in phantom["description"]
    assert SIMULATED[language] in phantom["outputs"]["0"]["name"]


@pytest.mark.parametrize("language", ["en", *SCRIPTS])
def test_names_are_different_and_plain_for_the_front_end(language, schemas):
    found = read(language)
    assert len({node["display_name"] for node in found.values()}) == len(found)
    for path, text in texts(found):
        assert not re.search(r"[{}@|]", text), (path, text)  # vue-i18n reads these as its own
    assert read(language, "main")["nodeCategories"].keys() == {schema.category for schema in schemas.values()}
