"""Take the pictures of ComfyUI in the README and its pages: docs/comfyui-*.png, from real runs in a real browser.

    COMFYUI_DIR=... COMFYUI_PYTHON=... python -m tests.host_comfyui.make_screenshots [name ...]

Needs playwright and a Chromium ($CHROMIUM, /usr/bin/chromium).
"""

import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests.host_comfyui.browser import FrontEnd, Node, chromium, front_end
from tests.host_comfyui.host import ROOT, Host, new_base, succeeded
from tests.host_comfyui.recordings import write_edf
from tests.host_comfyui.workflows import PHANTOM_ENCODER, SCENES, drawn_by_phantom, encode, latent, pictures, pixels
from tests.host_comfyui.workflows import encoder as loaded
from tests.host_comfyui.workflows import world as phantom_world

DOCS = ROOT / "docs"
WIDTH = 1400


def settled(page: FrontEnd) -> None:
    """Wait until the host's own messages have come and gone."""
    page.page.wait_for_timeout(2000)
    for words in ("Job queued", "Job completed"):
        page.page.get_by_text(words).wait_for(state="hidden")


def example(name: str) -> Callable[[FrontEnd, Path], bytes]:
    """Return what opens an example, runs it, and photographs it without its note."""

    def photograph(page: FrontEnd, folder: Path) -> bytes:
        page.load(json.loads((ROOT / "example_workflows" / f"{name}.json").read_text()))
        succeeded(page.run())
        [note] = page.nodes("MarkdownNote")
        page.page.evaluate("(id) => app.graph.remove(app.graph.getNodeById(id))", note)
        scale = (WIDTH - 32) / page.bounds()[2]
        page.look_at(scale=scale)
        settled(page)
        return page.page.screenshot(clip=page.look_at(scale=scale))

    return photograph


def uploaded(page: FrontEnd, folder: Path) -> bytes:
    """Upload an EDF file with the button, run, and photograph the whole window."""
    path = folder / "simulated-four-scenes.edf"
    write_edf(list(SCENES), path, "epoc-14", repeats=8)
    choice = {"choose": "events", "choose.average": "repeats of a label"}
    drawn = pictures("image", ("pixels", 0), "Drawn from it", (360, 380))
    nodes = [
        (Node("recording", "SDEEG_LoadRecording", size=(300, 0)), (0, 0)),
        (loaded(PHANTOM_ENCODER), (0, 250)),
        (phantom_world(), (0, 430)),
        (Node("windows", "SDEEG_SelectWindows", choice, {"recording": ("recording", 0)}, size=(300, 0)), (360, 0)),
        (latent(64), (360, 330)),
        (encode(), (690, 0)),
        (drawn_by_phantom(("encode", 0), ("encode", 1)), (1060, 0)),
        (pixels(), (1060, 400)),
        (drawn, (1390, 0)),
    ]
    built = page.build([Node(**{**vars(node), "pos": pos}) for node, pos in nodes])
    scale = (WIDTH - page.left - 20) / page.bounds()[2]
    page.look_at(scale=scale)
    page.choose_files(built["recording"]["id"], path)
    succeeded(page.run())
    settled(page)
    page.look_at(scale=scale)
    return page.page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": 540})


def templates(page: FrontEnd, folder: Path) -> bytes:
    """Photograph the pack's page of the template browser."""
    page.page.get_by_role("button", name="Templates").first.click()
    page.page.get_by_text("sd-eeg", exact=True).first.click()
    page.page.wait_for_timeout(2000)
    return page.page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": 880})


# name: what photographs it, and whether in Nodes 2.0
SCREENSHOTS: dict[str, tuple[Callable[[FrontEnd, Path], bytes], bool]] = {
    "comfyui-phantom": (example("phantom-round-trip"), False),
    "comfyui-upload": (uploaded, True),
    "comfyui-band-power": (example("band-power-denoise"), True),
    "comfyui-train": (example("train-in-the-graph"), False),
    "comfyui-templates": (templates, False),
}


def main(names: list[str]) -> None:
    """Take the pictures that are named, or all."""
    with tempfile.TemporaryDirectory() as folder:
        host = Host(new_base(Path(folder) / "base"))
        try:
            host.start()
            with chromium() as browser:
                for name in names or SCREENSHOTS:
                    photograph, nodes2 = SCREENSHOTS[name]
                    sizes = (WIDTH, 900) if photograph in (uploaded, templates) else (WIDTH + 200, 1100)
                    with front_end(browser, host, nodes2=nodes2, size=sizes) as page:
                        picture = Image.open(io.BytesIO(photograph(page, Path(folder)))).convert("RGB")
                    path = DOCS / f"{name}.png"
                    picture.save(path, optimize=True)
                    print(name, picture.size, path.stat().st_size // 1000, "kB")
        finally:
            host.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
