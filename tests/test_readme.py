"""What README.md and docs/*.md tell users is run, parsed by the commands it names, or held against the code."""

import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT, pictures, read, table, tables
from tests.webui_standin import extension

README = read("README.md")
BLOCKS = [
    (page, block.replace("\\\n", " "))
    for page in PAGES
    for block in re.findall(r"```sh\n(.*?)```", read(page), re.DOTALL)
]
COMMANDS = [
    (page, line.strip()) for page, block in BLOCKS for line in block.splitlines() if line.strip().startswith("python ")
]
REPORTS = {
    "trainer/ablation.py": ("trainer.ablations.options", "AblationOptions"),
    "trainer/align.py": ("trainer.align", "AlignOptions"),
    "trainer/controls.py": ("trainer.controls", "ControlOptions"),
    "trainer/cross_validate.py": ("trainer.cross_validate", "CrossValidateOptions"),
    "trainer/demo.py": ("trainer.demo", "DemoOptions"),
    "trainer/describe.py": ("trainer.describe", "DescribeOptions"),
    "trainer/evaluate.py": ("trainer.evaluate", "EvaluateOptions"),
    "trainer/generate.py": ("trainer.generate", "GenerateOptions"),
}
PARSERS = {
    "trainer/train.py": ("trainer.train", "parse_options"),
    "trainer/prepare.py": ("trainer.prepare", "parse"),
    "webui_extension/standalone.py": ("webui_extension.standalone", "parse"),
}
# In tables a script is named without its folder.
SCRIPT_FOLDERS = ("", "benchmarks", "trainer")


def parse(script: str, arguments: list[str]) -> None:
    """Let a command's own parser read its arguments; SystemExit where it knows a flag or a value not."""
    if script in PARSERS:
        module, function = PARSERS[script]
        getattr(import_module(module), function)(arguments)
    else:
        import tyro

        module, options = REPORTS[script]
        tyro.cli(getattr(import_module(module), options), args=arguments)


def test_the_readme_is_read_in_one_sitting():
    lines = README.splitlines()
    assert len(lines) <= 200
    assert len(README.split()) <= 2000  # two hundred lines could be long ones
    assert len(pictures(README)) == 4


def test_the_two_commands_are_the_first_ones():
    assert [line.partition("#")[0].strip() for _, line in COMMANDS[:2]] == [
        "python install.py demo",
        "python install.py test",
    ]


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_every_command_names_a_script_and_flags_that_exist(page, command, monkeypatch):
    words = shlex.split(command, comments=True)[1:]
    script = ROOT / words[0]
    assert script.is_file(), f"{page}: {words[0]} is not there"
    monkeypatch.chdir(ROOT)
    if words[0] in PARSERS or words[0] in REPORTS:
        parse(words[0], words[1:])
    else:
        assert words[0] == "install.py", f"{page}: no parser is known here for {words[0]}"
        source = script.read_text(encoding="utf-8")
        assert all(f'"{word}"' in source for word in words[1:])


def test_a_flag_that_a_command_does_not_know_is_found(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    for script in (*PARSERS, *REPORTS):
        with pytest.raises(SystemExit):
            parse(script, ["recordings" if "prepare" in script else "somewhere", "--no-such-flag", "1"])


@pytest.mark.parametrize("page", PAGES)
def test_every_file_named_in_code_is_there(page):
    named = re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:py|css))\b[^`]*`", read(page))
    places = {name: [folder for folder in SCRIPT_FOLDERS if (ROOT / folder / name).is_file()] for name in named}
    assert [name for name, found in places.items() if not found] == []


@pytest.mark.parametrize("page", PAGES)
def test_what_is_simulated_says_so_at_its_picture(page):
    paragraphs = read(page).split("\n\n")
    for number, paragraph in enumerate(paragraphs):
        for picture in pictures(paragraph):
            # A picture's caption stands below it, or below a second picture.
            shown = re.sub(r"\]\([^)]*\)", "]", " ".join(paragraphs[number : number + 3]))
            if "phantom" in Path(picture).name:
                assert "hantom" in re.sub(r"\]\([^)]*\)", "]", paragraph), picture
            if Path(picture).name != "describe.png":  # a real recording
                assert re.search("simulated|phantom", shown, re.IGNORECASE), picture


def test_the_table_of_formats_has_a_tick_where_a_test_runs_and_a_dash_where_none_can():
    from tests.format_cases import CASES

    rows = table(read("docs/recordings.md"), "format")
    shown = {row[0]: [cell[0] for cell in row[2:]] for row in rows}
    why_not = {name: case.why_not for name, case in CASES.items()}
    cells = ("events", "units", "rate", "truncated")
    assert shown == {
        name: ["✓" if case.real else "–", "✓", "✓", *("–" if cell in why_not[name] else "✓" for cell in cells)]
        for name, case in CASES.items()
    }


def test_the_table_of_webuis_has_the_lines_that_its_maker_prints():
    from tests.host_a1111.make_table import ALL, FEATURES, NAMES

    text = read("docs/webui.md")
    rows = table(text, "what ran")
    assert f"| what ran | {' | '.join(NAMES.values())} |" in text
    shown = [row[0] for row in rows]
    assert shown == [line for line in (*FEATURES, ALL) if line in shown]
    assert set(FEATURES) - set(shown) <= {"the stand-in's claims hold"}


def test_the_table_of_nodes_names_every_node_and_the_readme_counts_them():
    texts = json.loads(read("locales/en/nodeDefs.json"))
    names = {re.sub(r" \(.*\)$", "", node["display_name"]) for node in texts.values()}
    shown = {name for row in table(read("docs/comfyui.md"), "node") for name in re.findall(r"\*\*(.+?)\*\*", row[0])}
    assert shown == names
    assert len(names) == 14
    assert "All fourteen nodes, the eight example graphs" in README
    assert len(list((ROOT / "example_workflows").glob("*.json"))) == 8


def test_the_fields_that_the_api_is_said_to_take_are_those_that_it_takes():
    fields = extension("generation.request").FIELDS  # under the name that the webui gives the package

    text = read("docs/webui.md")
    listed = text.partition("an object with the accordion's fields (")[2].partition(";")[0]
    assert tuple(re.findall(r"`(\w+)`", listed)) == fields
    [curl] = [block for page, block in BLOCKS if page == "docs/webui.md"]
    body = json.loads(curl.partition("-d '")[2].rpartition("'")[0].replace("'\"$(base64 -w0 me.edf)\"'", "AAAA"))
    [argument] = body["alwayson_scripts"]["EEG conditioning"]["args"]
    assert set(argument) <= set(fields)
    assert (ROOT / "assets" / "encoders" / argument["encoder"]).is_file()


def test_the_tables_of_encoders_and_targets_are_those_of_the_code():
    from core.encoders import ENCODERS
    from core.model.spaces import SPACES

    text = read("docs/training.md")
    encoders = [name for row in table(text, "encoder") for name in re.findall(r"`(.+?)`", row[0])]
    assert sorted(encoders) == sorted(ENCODERS)
    assert len(encoders) == 19
    assert "nineteen kinds of encoders" in README
    targets = [name for row in table(text, "target") for name in re.findall(r"`(.+?)`", row[0])]
    assert sorted(targets) == sorted(SPACES)


def test_the_table_of_image_encoders_is_that_of_the_cards():
    from trainer.targets.image_encoders.families import IMAGE_ENCODERS

    rows = table(read("docs/image-encoders.md"), "name")
    names = {name for row in rows for name in re.findall(r"`(.+?)`", row[0])} - {"-noalign"}
    unaligned = {name for name, card in IMAGE_ENCODERS.items() if name.endswith("-noalign")}
    assert names | unaligned == IMAGE_ENCODERS.keys()
    for row in rows:
        for name in re.findall(r"`(.+?)`", row[0]):
            if name in IMAGE_ENCODERS:
                card = IMAGE_ENCODERS[name]
                assert str(card.width) in row[1]
                assert (row[3] == "yes") == card.aligned
                assert row[4] == card.licence.split(" (")[0]


def test_every_figure_of_the_readme_stands_among_the_figures():
    known = read("docs/figures.md")
    numbers = {number for row in table(README, "") for number in re.findall(r"\d+\.\d+", " ".join(row))}
    assert len(numbers) > 10
    assert {number for number in numbers if number not in known} == set()


def test_every_script_of_the_figures_takes_the_flags_that_are_named():
    scripts = [row[-1].strip("`") for rows in tables(read("docs/figures.md")) for row in rows[1:]]
    assert len(scripts) > 20
    for named in scripts:
        script, *words = named.split()
        source = (ROOT / "benchmarks" / script).read_text(encoding="utf-8")
        assert all(f'"{word}"' in source for word in words if word.startswith("--")), named
