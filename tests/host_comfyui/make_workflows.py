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
import uuid
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tests.host_comfyui.browser import FrontEnd, chromium, front_end
from tests.host_comfyui.host import ROOT, Host, images, new_base, succeeded
from tests.host_comfyui.workflow_notes import IMAGE_ENCODER, RECORDING, SD15
from tests.host_comfyui.workflows import WORKFLOWS, Workflow, laid_out

FOLDER = ROOT / "example_workflows"
SIDE, CANVAS = 512, (27, 27, 27)
WORDS = {False: ("what the phantom was shown", "drawn from its simulated EEG"), True: ("", "driven by simulated EEG")}
ABSENT = (  # files that a user has; without them the front end would mark the nodes red in the picture
    f"models/checkpoints/{SD15}",
    "models/checkpoints/sd21-unclip-h.ckpt",
    "models/ipadapter/ip-adapter_sd15.safetensors",
    f"models/eeg_encoders/{IMAGE_ENCODER}",
    f"input/{RECORDING}",
)


def thumbnail(picture: Image.Image, path: Path, above: str = "", under: str = "") -> None:
    """Write a square JPEG of a picture on the canvas's own colour, with words above and under it."""
    picture = picture.convert("RGB")
    scale = SIDE / max(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (SIDE, SIDE), CANVAS)
    top = (SIDE - picture.height) // 2
    square.paste(picture, ((SIDE - picture.width) // 2, top))
    draw, font = ImageDraw.Draw(square), ImageFont.load_default(26)
    draw.text((SIDE // 2, top - 10), above, (200, 200, 200), font, "mb")
    draw.text((SIDE // 2, top + picture.height + 10), under, (200, 200, 200), font, "mt")
    square.save(path, quality=85, optimize=True)


def tiled(drawn: list[Image.Image], columns: int = 4) -> Image.Image:
    """Put small pictures side by side, each enlarged without smoothing."""
    side, gap = SIDE // columns, 4
    sheet = Image.new("RGB", (SIDE, -(-len(drawn) // columns) * side), CANVAS)
    for number, one in enumerate(drawn):
        enlarged = one.convert("RGB").resize((side - gap, side - gap), Image.Resampling.NEAREST)
        sheet.paste(enlarged, (number % columns * side + gap // 2, number // columns * side + gap // 2))
    return sheet


def below(top: Image.Image, bottom: Image.Image) -> Image.Image:
    """Put one picture under another, both as wide as the thumbnail."""
    top = top.convert("RGB").resize((SIDE, round(top.height * SIDE / top.width)), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", (SIDE, top.height + bottom.height), CANVAS)
    sheet.paste(top, (0, 0))
    sheet.paste(bottom, (0, top.height))
    return sheet


def of_node(entry: dict, host: Host, node: str) -> list[Image.Image]:
    """The pictures that one node of a run shows."""
    return [Image.open(io.BytesIO(host.view(image))) for image in images({"outputs": {node: entry["outputs"][node]}})]


def main(names: list[str]) -> None:
    """Write the workflows that are named, or all."""
    FOLDER.mkdir(exist_ok=True)
    packs = [Path(os.environ["IPADAPTER_DIR"])] if os.environ.get("IPADAPTER_DIR") else []
    with tempfile.TemporaryDirectory() as folder:
        base = new_base(Path(folder), *packs)
        for name in ABSENT:
            (base / name).parent.mkdir(exist_ok=True)
            (base / name).touch()
        host = Host(base)
        try:
            with chromium() as browser, front_end(browser, host.start(), size=(3200, 1500)) as page:
                # What ran last would still stand in the nodes of the next graph.
                for name in sorted(names or WORKFLOWS, key=lambda name: not WORKFLOWS[name].focus):
                    built = page.build(*laid_out(WORKFLOWS[name], page))
                    write(name, page.saved())
                    picture = photograph(WORKFLOWS[name], built, page)
                    words = () if WORKFLOWS[name].focus else WORDS["course" in built]
                    thumbnail(picture, FOLDER / f"{name}.jpg", *words)
                    print(name, len(built), "nodes")
        finally:
            host.stop()


def write(name: str, graph: dict) -> None:
    """Write a workflow with an id that is the same each time, looking at its beginning."""
    graph["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"sd-eeg/{name}"))
    graph["extra"] |= {"ds": {"scale": 0.7, "offset": [120, 140]}}
    (FOLDER / f"{name}.json").write_text(json.dumps(graph, indent=1) + "\n")


def photograph(workflow: Workflow, built: dict, page: FrontEnd) -> Image.Image:
    """Return the nodes in focus, or what the workflow draws: what was shown, where it starts, then the results."""
    if workflow.focus:
        shot = page.page.screenshot(clip=page.look_at(*(built[key]["id"] for key in workflow.focus)))
        return Image.open(io.BytesIO(shot))
    entry = succeeded(page.run())
    truth, begun, drawn = (
        of_node(entry, page.host, built[key]["id"]) if key in built else [] for key in ("truth", "start", "image")
    )
    if "course" in built:  # a rhythm, and the picture of each of its windows
        return below(of_node(entry, page.host, built["course"]["id"])[0], tiled(drawn, 6))
    return tiled(truth + begun + drawn)


if __name__ == "__main__":
    main(sys.argv[1:])
