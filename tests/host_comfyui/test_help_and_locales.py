"""The real host serves the help pages where its front end asks for them, their pictures, and the translations."""

import json
import re
import urllib.error
import urllib.request

import pytest

from tests.host_comfyui.host import ROOT

PAGES = sorted((ROOT / "web" / "docs").glob("*.md"))
DOCS = "/extensions/sd-eeg/docs/"


def fetch(host, path: str) -> tuple[str, bytes]:
    with urllib.request.urlopen(host.address + path, timeout=60) as reply:
        return reply.headers.get("content-type", ""), reply.read()


def test_a_page_is_served_for_every_node_and_is_no_html(host):
    """The front end asks for <node>/<locale>.md first and takes a page without a locale where there is none."""
    nodes = [name for name in host.get("/object_info") if name.startswith("SDEEG_")]
    assert sorted(nodes) == [page.stem for page in PAGES]
    for page in PAGES:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetch(host, f"{DOCS}{page.stem}/zh.md")
        kind, content = fetch(host, f"{DOCS}{page.name}")
        assert "html" not in kind
        assert content == page.read_bytes()


def test_pictures_of_the_pages_are_served(host):
    links = {link for page in PAGES for link in re.findall(r"\]\((assets/[^)]+)\)", page.read_text(encoding="utf-8"))}
    assert links
    for link in links:
        kind, content = fetch(host, DOCS + link)
        assert kind == "image/png"
        assert content == (ROOT / "web" / "docs" / link).read_bytes()


def test_the_front_end_is_given_every_translation(host):
    given = host.get("/i18n")
    for folder in (ROOT / "locales").iterdir():
        own = json.loads((folder / "nodeDefs.json").read_text(encoding="utf-8"))
        assert {name: given[folder.name]["nodeDefs"][name] for name in own} == own
        assert given[folder.name]["nodeCategories"]["EEG"]
