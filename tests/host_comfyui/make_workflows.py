"""Write example_workflows/*.json, as the host's own front end saves them, and their thumbnails.

    COMFYUI_DIR=... COMFYUI_PYTHON=... IPADAPTER_DIR=... python -m tests.host_comfyui.make_workflows [name ...]

Workflows that come with all they need are run, and their thumbnail is what they drew; the others' is the graph itself.
Needs playwright and a Chromium ($CHROMIUM, /usr/bin/chromium).
"""

import io
import json
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.host_comfyui.browser import front_end
from tests.host_comfyui.host import ROOT, Host, images, new_base, succeeded
from tests.host_comfyui.workflows import WORKFLOWS, laid_out

FOLDER = ROOT / "example_workflows"
COMPLETE = {"phantom-round-trip", "band-power-denoise", "train-in-the-graph"}  # need nothing but the pack
SIDE = 512


def thumbnail(picture: Image.Image, path: Path) -> None:
    """Write a square JPEG of a picture on the canvas's own colour."""
    picture = picture.convert("RGB")
    scale = SIDE / max(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (SIDE, SIDE), (27, 27, 27))
    square.paste(picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
    square.save(path, quality=85, optimize=True)


def tiled(drawn: list[Image.Image], columns: int) -> Image.Image:
    """Put small pictures side by side, each enlarged without smoothing."""
    side, gap = SIDE // columns, 4
    sheet = Image.new("RGB", (columns * side, -(-len(drawn) // columns) * side), (27, 27, 27))
    for number, one in enumerate(drawn):
        enlarged = one.convert("RGB").resize((side - gap, side - gap), Image.Resampling.NEAREST)
        sheet.paste(enlarged, (number % columns * side + gap // 2, number // columns * side + gap // 2))
    return sheet


def of_node(entry: dict, host: Host, node: str) -> list[Image.Image]:
    """The pictures that one node of a run shows."""
    return [Image.open(io.BytesIO(host.view(image))) for image in images({"outputs": {node: entry["outputs"][node]}})]


def main(names: list[str]) -> None:
    """Write the workflows that are named, or all."""
    FOLDER.mkdir(exist_ok=True)
    packs = [Path(os.environ["IPADAPTER_DIR"])] if os.environ.get("IPADAPTER_DIR") else []
    with tempfile.TemporaryDirectory() as folder:
        host = Host(new_base(Path(folder), *packs))
        try:
            with front_end(host.start(), size=(3200, 1500)) as page:
                for name in names or WORKFLOWS:
                    page.build(*laid_out(WORKFLOWS[name], page))
                    graph = page.saved()
                    graph["extra"] = {"ds": {"scale": 0.7, "offset": [120, 140]}}
                    (FOLDER / f"{name}.json").write_text(json.dumps(graph, indent=1) + "\n")
                    if name in COMPLETE:
                        entry = succeeded(page.run())
                        titles = {node["title"]: str(node["id"]) for node in graph["nodes"] if node.get("title")}
                        drawn = [
                            picture
                            for title, node in titles.items()
                            if title.startswith(("Truth", "Result", "One picture"))
                            for picture in of_node(entry, host, node)
                        ]
                        thumbnail(tiled(drawn, 4), FOLDER / f"{name}.jpg")
                    else:
                        shot = page.page.screenshot(clip=page.look_at(0.8))
                        thumbnail(Image.open(io.BytesIO(shot)), FOLDER / f"{name}.jpg")
                    print(name, len(graph["nodes"]), "nodes")
        finally:
            host.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
