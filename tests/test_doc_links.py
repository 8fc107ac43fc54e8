"""Every link of the pages that people read leads somewhere: files, pictures, headings."""

import posixpath
import re

import pytest

from tests.pages import PAGES, README, ROOT, anchors, links, pictures, read

LINKING = [
    *PAGES,
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "web" / "docs").glob("*.md"))),
]
LINKS = [(page, target) for page in LINKING for target in links(read(page)) if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize(("page", "target"), LINKS)
def test_every_relative_link_leads_to_a_file_and_its_anchor_to_a_heading(page, target):
    file, _, anchor = target.partition("#")
    place = posixpath.normpath(posixpath.join(posixpath.dirname(page), file)) if file else page
    assert not place.startswith(("..", "/")), f"{page} links out of the repository: {target}"
    assert (ROOT / place).exists(), f"{page} links to {place}, which is not there"
    if anchor:
        known = anchors(read(place))
        assert anchor in known, f"{place} has no heading #{anchor}; it has {', '.join(sorted(known))}"


def test_every_page_of_docs_is_linked_from_the_readme():
    linked = {target.partition("#")[0] for target in links(read("README.md"))}
    assert set(PAGES) - {README.name} - linked == set()


def test_links_and_pictures_are_found_outside_code_only():
    text = "[a](b.md#c) `[d](e.md)`\n\n```sh\n[f](g.md)\n```\n\n![h](i.png) <img alt='j' src=\"k.png\">\n"
    assert links(text) == ["b.md#c", "i.png", "k.png"]
    assert pictures(text) == ["i.png", "k.png"]


def test_anchors_are_those_of_github():
    headings = ("# Will it read my headset's file?", "## API", "### `api`", "## [Format](b.md) by format, EDF / BDF")
    text = "\n\n".join([*headings, "```sh\n# no heading\n```"])
    assert anchors(text) == {"will-it-read-my-headsets-file", "api", "api-1", "format-by-format-edf--bdf"}
