"""The pages that users read, for the tests that hold them against the code: README.md and docs/*.md."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = {path.relative_to(ROOT).as_posix(): path for path in (README, *sorted((ROOT / "docs").glob("*.md")))}


def read(name: str) -> str:
    """Return a page's text by its path in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """Return Markdown without its fenced blocks and its inline code, in which links are no links."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))


def links(text: str) -> list[str]:
    """Return the targets of Markdown's links and pictures, and of HTML's, in their order."""
    found = re.findall(r"\]\(([^)\s]+)\)|\b(?:src|href)=\"([^\"]+)\"", without_code(text))
    return [next(part for part in target if part) for target in found]


def pictures(text: str) -> list[str]:
    """Return the targets of the pictures among them."""
    found = re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)|<img\b[^>]*\bsrc=\"([^\"]+)\"", without_code(text))
    return [next(part for part in target if part) for target in found]


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings, numbered where two are alike."""
    found: dict[str, int] = {}
    for heading in re.findall(
        r"^#{1,6} +(.+?) *#*$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    ):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        number = found.get(slug, 0)
        found[slug] = number + 1
        if number:
            found[f"{slug}-{number}"] = 1
    return set(found)


def tables(text: str) -> list[list[list[str]]]:
    """Return a page's tables as rows of cells, headings first, without the line of dashes."""
    blocks = re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE)
    rows = [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()] for block in blocks]
    return [[table[0], *table[2:]] for table in rows]


def table(text: str, first: str) -> list[list[str]]:
    """Return the rows below the headings of the one table whose first heading is `first`."""
    [found] = [rows for rows in tables(text) if rows[0][0] == first]
    return found[1:]
