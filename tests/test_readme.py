"""What the README tells users is run, or at least parsed by the very commands it names."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.strip()
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.strip().startswith("python ")
]
PARSERS = {
    "trainer/train.py": lambda arguments: __import__("trainer.train").train.parse_options(arguments),
    "trainer/evaluate.py": lambda arguments: parse_with("trainer.evaluate", "EvaluateOptions", arguments),
    "trainer/generate.py": lambda arguments: parse_with("trainer.generate", "GenerateOptions", arguments),
    "trainer/cross_validate.py": lambda arguments: parse_with(
        "trainer.cross_validate", "CrossValidateOptions", arguments
    ),
    "trainer/demo.py": lambda arguments: parse_with("trainer.demo", "DemoOptions", arguments),
    "trainer/describe.py": lambda arguments: parse_with("trainer.describe", "DescribeOptions", arguments),
}


def parse_with(module: str, options: str, arguments: list[str]):
    from importlib import import_module

    import tyro

    return tyro.cli(getattr(import_module(module), options), args=arguments)


def test_the_two_commands_are_the_first_ones():
    assert [line.partition("#")[0].strip() for line in COMMANDS[:2]] == [
        "python install.py demo",
        "python install.py test",
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_a_script_and_flags_that_exist(command, monkeypatch):
    words = shlex.split(command, comments=True)[1:]
    script = ROOT / words[0]
    assert script.is_file(), f"{words[0]} is not there"
    monkeypatch.chdir(ROOT)
    if words[0] in PARSERS:
        PARSERS[words[0]](words[1:])
    elif words[0] == "trainer/prepare.py":
        from trainer.prepare import parse

        parse(words[1:])
    else:
        source = script.read_text(encoding="utf-8")
        for flag in [word for word in words[1:] if word.startswith("--")]:
            assert f'"{flag}"' in source, f"{words[0]} has no {flag}"


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", TEXT))
def test_every_picture_and_page_it_points_to_is_there(target):
    path = next(part for part in target if part)
    if not path.startswith("http"):
        assert (ROOT / path).exists(), path


def test_what_is_simulated_is_called_a_phantom():
    for paragraph in TEXT.split("\n\n"):
        if "docs/phantom" in paragraph:
            assert "hantom" in re.sub(r"\(docs/[^)]*\)", "", paragraph)


def test_the_table_of_formats_has_a_tick_where_a_test_runs_and_a_dash_where_none_can():
    from tests.format_cases import CASES

    rows = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| ")]
    shown = {row[0]: [cell[0] for cell in row[2:]] for row in rows if row[0] in CASES and len(row) == 9}
    why_not = {name: case.why_not for name, case in CASES.items()}
    cells = ("events", "units", "rate", "truncated")
    assert shown == {
        name: ["✓" if case.real else "–", "✓", "✓", *("–" if cell in why_not[name] else "✓" for cell in cells)]
        for name, case in CASES.items()
    }
