"""Take the pictures of the help pages: small graphs, run in a real ComfyUI and photographed in a real browser.

    COMFYUI_DIR=... COMFYUI_PYTHON=... python -m tests.host_comfyui.make_help_pictures RECORDING.csv.gz [picture ...]

RECORDING is a Muse recording of the N170 data set (see trainer/datasets/n170.py); without it, the pictures that show a
real recording are left as they are. Needs playwright and a Chromium ($CHROMIUM, /usr/bin/chromium).
"""

import io
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.host_comfyui.host import ROOT, Host, new_base

ASSETS = ROOT / "web" / "docs" / "assets"
RECORDING = "faces-and-houses.csv.gz"
ENCODER = "n170-subject1.safetensors"
MARGIN, LEFT, TOP = 14, 90, 110
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


def phantom(**more) -> dict:
    """A simulated recording, as widgets of EEG Phantom."""
    return {"scenes": "captions", "snr": 1.0, "repeats": 4, "control_after_generate": "fixed"} | more


LOADED = ("recording", "SDEEG_LoadRecording", (0, 0, 320, 150), {"file": RECORDING}, {})
SIMULATED = ("phantom", "SDEEG_Phantom", (0, 0, 320, 300), phantom(), {})
SCENES = "a large red star at the top left\na small blue ring on the right"
# Each picture: nodes as (key, type, (x, y, width, height), widgets, {input: (key, output)}).
PICTURES: dict[str, list[tuple]] = {
    "load_recording": [
        LOADED,
        ("said", "PreviewAny", (370, 0, 470, 250), {}, {"source": ("recording", 1)}),
    ],
    "phantom": [
        ("phantom", "SDEEG_Phantom", (0, 0, 350, 340), phantom(**{"scenes.captions": SCENES}), {}),
        ("truth", "PreviewImage", (400, 0, 200, 200), {}, {"images": ("phantom", 1)}),
        ("said", "PreviewAny", (400, 250, 440, 220), {}, {"source": ("phantom", 2)}),
    ],
    "preprocess": [
        SIMULATED,
        ("clean", "SDEEG_Preprocess", (370, 0, 330, 220),
         {"bad_channels": "T7", "reference": "average", "notch": "50 Hz"}, {"recording": ("phantom", 0)}),
        ("said", "PreviewAny", (370, 270, 520, 280), {}, {"source": ("clean", 1)}),
    ],
    "select_windows": [
        LOADED,
        ("windows", "SDEEG_SelectWindows", (0, 200, 320, 240),
         {"choose": "events", "choose.label": "2", "choose.index": "0-1"}, {"recording": ("recording", 0)}),
        ("plot", "SDEEG_Plot", (370, 0, 300, 150), {"kind": "traces"}, {"eeg": ("windows", 0)}),
        ("seen", "PreviewImage", (370, 200, 470, 400), {}, {"images": ("plot", 0)}),
    ],
    "plot": [
        ("phantom", "SDEEG_Phantom", (0, 0, 320, 300), phantom(repeats=8), {}),
        ("traces", "SDEEG_Plot", (370, 0, 260, 150), {"kind": "traces", "kind.duration": 4.0}, {"eeg": ("phantom", 0)}),
        ("seen1", "PreviewImage", (680, 0, 420, 320), {}, {"images": ("traces", 0)}),
        ("map", "SDEEG_Plot", (0, 370, 260, 150), {"kind": "scalp map"}, {"eeg": ("phantom", 0)}),
        ("seen2", "PreviewImage", (310, 370, 330, 330), {}, {"images": ("map", 0)}),
        ("spectrum", "SDEEG_Plot", (370, 190, 260, 130), {"kind": "spectrum"}, {"eeg": ("phantom", 0)}),
        ("seen3", "PreviewImage", (680, 370, 420, 330), {}, {"images": ("spectrum", 0)}),
    ],
    "band_power": [
        LOADED,
        ("windows", "SDEEG_SelectWindows", (0, 200, 320, 240),
         {"choose": "sliding", "choose.per_second": 2.0, "choose.start": 10.0, "choose.stop": 40.0, "to_s": 2.0},
         {"recording": ("recording", 0)}),
        ("power", "SDEEG_BandPower", (370, 0, 340, 340), {"band": "alpha", "out_low": 0.3, "smoothing": 0.5},
         {"windows": ("windows", 0)}),
        ("seen", "PreviewImage", (370, 390, 500, 330), {}, {"images": ("power", 2)}),
    ],
    "load_encoder": [
        ("encoder", "SDEEG_LoadEncoder", (0, 0, 320, 80), {"encoder": ENCODER}, {}),
        ("card", "PreviewAny", (370, 0, 520, 320), {}, {"source": ("encoder", 1)}),
    ],
    "encode": [
        LOADED,
        ("windows", "SDEEG_SelectWindows", (0, 200, 320, 240),
         {"choose": "events", "choose.label": "2", "choose.average": "everything"}, {"recording": ("recording", 0)}),
        ("encoder", "SDEEG_LoadEncoder", (0, 490, 320, 80), {"encoder": ENCODER}, {}),
        ("encode", "SDEEG_Encode", (370, 0, 400, 380), {}, {"encoder": ("encoder", 0), "windows": ("windows", 0)}),
        ("said", "PreviewAny", (370, 430, 480, 140), {}, {"source": ("encode", 5)}),
    ],
    "train_encoder": [
        ("phantom", "SDEEG_Phantom", (0, 0, 320, 320), phantom(**{"scenes.captions": SCENES, "repeats": 40}), {}),
        ("trainer", "SDEEG_TrainEncoder", (370, 0, 400, 380), {"name": "two scenes (simulated)"},
         {"recording": ("phantom", 0)}),
        ("save", "SDEEG_SaveEncoder", (0, 430, 320, 120), {"filename": "two-scenes"}, {"encoder": ("trainer", 0)}),
        ("said", "PreviewAny", (370, 430, 520, 180), {}, {"source": ("trainer", 1)}),
    ],
    "phantom_world": [
        ("phantom", "SDEEG_Phantom", (0, 0, 320, 330), phantom(**{"scenes.captions": SCENES, "repeats": 8}), {}),
        ("windows", "SDEEG_SelectWindows", (0, 440, 320, 220),
         {"choose": "events", "choose.average": "repeats of a label"}, {"recording": ("phantom", 0)}),
        ("encoder", "SDEEG_LoadEncoder", (0, 770, 320, 80), {"encoder": "phantom-epoc14.safetensors"}, {}),
        ("world", "SDEEG_LoadPhantomWorld", (0, 910, 320, 80), {}, {}),
        ("encode", "SDEEG_Encode", (370, 0, 330, 340), {},
         {"encoder": ("encoder", 0), "windows": ("windows", 0), "model": ("world", 0), "clip": ("world", 1)}),
        ("latent", "EmptyLatentImage", (370, 450, 330, 110), {"width": 64, "height": 64},
         {"batch_size": ("windows", 1)}),
        ("sampler", "KSampler", (370, 610, 330, 260),
         {"seed": 1, "control_after_generate": "fixed", "steps": 25, "cfg": 3.0, "sampler_name": "dpmpp_2m"},
         {"model": ("world", 0), "positive": ("encode", 0), "negative": ("encode", 1), "latent_image": ("latent", 0)}),
        ("pixels", "VAEDecode", (370, 930, 330, 50), {}, {"samples": ("sampler", 0), "vae": ("world", 2)}),
        ("truth", "PreviewImage", (750, 0, 270, 330), {}, {"images": ("phantom", 1)}),
        ("drawn", "PreviewImage", (750, 450, 270, 330), {}, {"images": ("pixels", 0)}),
    ],
    "blend_conditioning": [
        ("encode", "SDEEG_Encode", (0, 0, 330, 340), {}, {}),
        ("words", "CLIPTextEncode", (0, 410, 330, 110), {"text": "oil painting, thick brush strokes"}, {}),
        ("blend", "SDEEG_BlendConditioning", (380, 0, 340, 160), {"driven_by": "amount x confidence", "amount": 0.6},
         {"text": ("words", 0), "eeg": ("encode", 0)}),
        ("sampler", "KSampler", (380, 210, 340, 260), {"seed": 1, "control_after_generate": "fixed"},
         {"positive": ("blend", 0), "negative": ("encode", 1)}),
    ],
}  # fmt: skip
TITLES = {"drawn": "decoded and drawn", "truth": "truth"}
NOT_RUN = ("blend_conditioning",)  # shows how nodes are connected; the checkpoint is the reader's own

BUILD = """async (nodes) => {
  app.graph.clear();
  app.nodeOutputs = {};
  const made = {};
  for (const [key, type, place, widgets, , title] of nodes) {
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    node.pos = [place[0], place[1]];
    for (const [name, value] of Object.entries(widgets)) {
      const widget = node.widgets.find((w) => w.name === name);
      if (!widget) throw new Error(`${type} has no widget ${name}: ${node.widgets.map((w) => w.name)}`);
      widget.value = value;
      widget.callback?.(value);
    }
    if (title) node.title = title;
    made[key] = node;
  }
  for (const [key, type, place, , links] of nodes) {
    for (const [input, [from, output]] of Object.entries(links)) {
      const index = made[key].inputs.findIndex((slot) => slot.name === input);
      if (index < 0) throw new Error(`${type} has no input ${input}`);
      made[from].connect(output, made[key], index);
    }
    const least = made[key].computeSize();
    made[key].setSize([Math.max(least[0], place[2] ?? 0), Math.max(least[1], place[3] ?? 0)]);
  }
  app.canvas.setDirty(true, true);
}"""
FIT = """([left, top]) => {
  const bounds = [Infinity, Infinity, -Infinity, -Infinity];
  for (const node of app.graph._nodes) {
    const [x, y, width, height] = node.getBounding();
    bounds[0] = Math.min(bounds[0], x); bounds[1] = Math.min(bounds[1], y);
    bounds[2] = Math.max(bounds[2], x + width); bounds[3] = Math.max(bounds[3], y + height);
  }
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [left - bounds[0], top - bounds[1]];
  app.canvas.deselectAll?.();
  app.canvas.setDirty(true, true);
  return [bounds[2] - bounds[0], bounds[3] - bounds[1]];
}"""


def open_page(browser, host: Host):
    """Return a page with an empty graph, the classic canvas and nothing lying over it."""
    page = browser.new_page(viewport={"width": 2050, "height": 1300})
    page.goto(host.address)
    page.wait_for_function(
        "Boolean(window.app?.graph && LiteGraph.registered_node_types.SDEEG_Encode)", timeout=120_000
    )
    page.wait_for_timeout(2500)
    page.keyboard.press("Escape")
    for name, value in {"Comfy.Minimap.Visible": False, "Comfy.NodeBadge.NodeSourceBadgeMode": "None"}.items():
        page.evaluate("([name, value]) => app.extensionManager.setting.set(name, value)", [name, value])
    return page


def photograph(page, host: Host, nodes: list[tuple], run: bool) -> bytes:
    """Build a graph, run it, and return the PNG of what the canvas shows."""
    page.evaluate(BUILD, [[*node, TITLES.get(node[0])] for node in nodes])
    if run:
        before = set(host.get("/history"))
        page.evaluate("() => app.queuePrompt(0, 1)")
        while not (ended := set(host.get("/history")) - before):
            time.sleep(0.3)
        status = host.get("/history")[ended.pop()]["status"]
        if status["status_str"] != "success":
            raise RuntimeError([body for kind, body in status["messages"] if kind == "execution_error"])
    page.wait_for_timeout(2500)
    width, height = page.evaluate(FIT, [LEFT, TOP])
    page.wait_for_timeout(1500)
    clip = {"x": LEFT - MARGIN, "y": TOP - MARGIN, "width": width + 2 * MARGIN, "height": height + 2 * MARGIN}
    return page.screenshot(clip=clip)


def small(png: bytes) -> bytes:
    """Return a PNG as small as it gets without a change of colour."""
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(out, "png", optimize=True)
    return out.getvalue()


def main(arguments: list[str]) -> None:
    """Take the pictures that are named, or all."""
    from playwright.sync_api import sync_playwright

    recording = next((Path(one) for one in arguments if Path(one).is_file()), None)
    wanted = [one for one in arguments if one in PICTURES] or list(PICTURES)
    ASSETS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        host = Host(new_base(Path(folder)))
        if recording is not None:
            shutil.copy(recording, host.base / "input" / RECORDING)
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS
        )
        try:
            host.start()
            for name in wanted:
                if recording is None and LOADED in PICTURES[name]:
                    print(f"{name}: left as it is, no recording was given")
                    continue
                page = open_page(browser, host)  # a new one: the front end remembers widgets by a node's number
                picture = small(photograph(page, host, PICTURES[name], name not in NOT_RUN))
                page.close()
                (ASSETS / f"{name}.png").write_bytes(picture)
                print(f"{name}: {len(picture) // 1000} kB")
        finally:
            browser.close()
            host.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
