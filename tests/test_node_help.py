"""The help pages of the nodes: complete, with pictures that exist, quoting messages that the code really says."""

import ast
import re
from pathlib import Path

from tests.comfy_standin import ROOT, all_inputs

PAGES = ROOT / "web" / "docs"
PICTURE = re.compile(r"!\[([^\]]+)\]\(([^)]+)\)")


def page(node_id: str) -> str:
    return (PAGES / f"{node_id}.md").read_text(encoding="utf-8")


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    _, found, after = text.partition(f"\n## {heading}\n")
    assert found, heading
    lines = [line for line in after.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def sayings() -> list[str]:
    """Every text in the code that a node runs, with … for what is filled in."""
    found = []
    for path in [*(ROOT / "core").rglob("*.py"), *(ROOT / "comfy_nodes").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_every_node_has_a_page_and_every_page_a_node(schemas):
    assert {path.stem for path in PAGES.glob("*.md")} == set(schemas)


def test_pages_list_every_input_and_output(schemas):
    for node_id, schema in schemas.items():
        text = page(node_id)
        assert text.startswith(f"# {schema.display_name}\n"), node_id
        inputs = [key.rpartition(".")[2] for key in all_inputs(schema)]
        assert [row[0].strip("`") for row in rows(text, "Inputs")] == list(dict.fromkeys(inputs)), node_id
        outputs = [item.display_name for item in schema.outputs]
        assert [row[0].strip("`") for row in rows(text, "Outputs")] == outputs, node_id
        for heading in ("When to use it", "Example", "When something goes wrong"):
            assert f"\n## {heading}\n" in text, (node_id, heading)


def test_choices_named_as_an_inputs_values_exist(schemas):
    offered = {node_id: set() for node_id in schemas}
    for node_id, schema in schemas.items():
        for item in all_inputs(schema).values():
            offered[node_id] |= {getattr(o, "key", o) for o in item.options.get("options") or ()}
            offered[node_id].add(item.id)
    for node_id in schemas:
        for row in rows(page(node_id), "Inputs"):
            if row[1] == "list" and offered[node_id]:
                named = re.findall(r"`([a-z ]+)`(?=,| or|:| gives| rebuilds| leaves)", row[2])
                assert set(named) <= offered[node_id], (node_id, row[0], set(named) - offered[node_id])


def test_the_messages_that_pages_explain_are_said_somewhere(schemas):
    said = sayings()
    for node_id in schemas:
        for row in rows(page(node_id), "When something goes wrong"):
            for quoted in re.findall(r"\*([^*]+)\*", row[0]):
                for part in (piece.strip() for piece in quoted.split("…")):
                    assert not part or any(part in text for text in said), (node_id, part)


def test_pictures_exist_are_used_and_are_small(schemas):
    used = set()
    for node_id in schemas:
        for alt, link in PICTURE.findall(page(node_id)):
            assert alt, node_id
            assert re.fullmatch(r"assets/\w+\.png", link), (node_id, link)  # the front end puts the docs folder before
            used.add(PAGES / link)
    there = set((PAGES / "assets").iterdir())
    assert used == there
    assert sum(path.stat().st_size for path in there) < 1_500_000


def test_pages_that_show_simulated_eeg_say_so():
    for node_id in ("SDEEG_Phantom", "SDEEG_LoadPhantomWorld", "SDEEG_Preprocess", "SDEEG_Plot", "SDEEG_TrainEncoder"):
        assert re.search(r"^\*Simulated EEG", page(node_id), re.MULTILINE), node_id


def test_pages_do_not_name_a_machine(schemas):
    for node_id in schemas:
        assert not re.search(r"/(?:root|home|work|tmp)/", page(node_id)), node_id


def test_the_host_is_told_where_the_pages_are():
    assert 'WEB_DIRECTORY = "./web"' in Path(ROOT / "__init__.py").read_text(encoding="utf-8")
