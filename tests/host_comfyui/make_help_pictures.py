"""Take the pictures of the help pages: small graphs, run in a real ComfyUI and photographed in a real browser.

    COMFYUI_DIR=... COMFYUI_PYTHON=... python -m tests.host_comfyui.make_help_pictures RECORDING.csv.gz [picture ...]

RECORDING is a Muse recording of the N170 data set (see trainer/datasets/n170.py); without it, the pictures that show a
real recording are left as they are. Needs playwright, pillow and a Chromium (see browser.py).
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from tests.host_comfyui.browser import Node, chromium, front_end
from tests.host_comfyui.host import ROOT, Host, new_base, succeeded
from tests.host_comfyui.workflows import HELD_OUT, PICTURE_ENCODER

ASSETS = ROOT / "web" / "docs" / "assets"
RECORDING = "faces-and-houses.csv.gz"
ENCODER = "n170-subject1.safetensors"
SCENES = "a large red star at the top left\na small blue ring on the right"
FOUR = "\n".join(HELD_OUT)
TITLES = {"drawn": "decoded and drawn", "truth": "truth", "departs": "mask"}
NOT_RUN = ("blend_conditioning",)  # shows how nodes are connected; the checkpoint is the reader's own


def phantom(**more) -> dict:
    """A simulated recording, as widgets of EEG Phantom."""
    return {"scenes": "captions", "snr": 1.0, "repeats": 4} | more


LOADED = ("recording", "SDEEG_LoadRecording", (0, 0, 320, 150), {"file": RECORDING}, {})
SIMULATED = ("phantom", "SDEEG_Phantom", (0, 0, 320, 300), phantom(), {})
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
    "saliency": [
        ("phantom", "SDEEG_Phantom", (0, 0, 320, 330), phantom(**{"scenes.captions": FOUR, "repeats": 8}), {}),
        ("windows", "SDEEG_SelectWindows", (0, 440, 320, 220),
         {"choose": "events", "choose.average": "repeats of a label"}, {"recording": ("phantom", 0)}),
        ("encoder", "SDEEG_LoadEncoder", (370, 0, 330, 80), {"encoder": PICTURE_ENCODER}, {}),
        ("saliency", "SDEEG_Saliency", (370, 150, 330, 300), {"width": 64, "height": 64},
         {"encoder": ("encoder", 0), "windows": ("windows", 0)}),
        ("said", "PreviewAny", (370, 560, 330, 170), {}, {"source": ("saliency", 4)}),
        ("seen", "PreviewImage", (750, 0, 250, 330), {}, {"images": ("saliency", 0)}),
        ("map", "MaskToImage", (750, 390, 250, 40), {}, {"mask": ("saliency", 1)}),
        ("departs", "PreviewImage", (1040, 0, 250, 330), {}, {"images": ("map", 0)}),
        ("truth", "PreviewImage", (1040, 390, 250, 330), {}, {"images": ("phantom", 1)}),
    ],
    "to_latent": [
        ("phantom", "SDEEG_Phantom", (0, 0, 320, 330), phantom(**{"scenes.captions": FOUR, "repeats": 8}), {}),
        ("windows", "SDEEG_SelectWindows", (0, 440, 320, 220),
         {"choose": "events", "choose.average": "repeats of a label"}, {"recording": ("phantom", 0)}),
        ("encoder", "SDEEG_LoadEncoder", (370, 0, 330, 80), {"encoder": PICTURE_ENCODER}, {}),
        ("world", "SDEEG_LoadPhantomWorld", (370, 140, 330, 80), {}, {}),
        ("start", "SDEEG_ToLatent", (370, 280, 330, 270), {"width": 64, "height": 64},
         {"encoder": ("encoder", 0), "windows": ("windows", 0), "model": ("world", 0)}),
        ("pixels", "VAEDecode", (370, 620, 330, 50), {}, {"samples": ("start", 0), "vae": ("world", 2)}),
        ("seen", "PreviewImage", (750, 0, 270, 330), {}, {"images": ("pixels", 0)}),
        ("truth", "PreviewImage", (750, 390, 270, 330), {}, {"images": ("phantom", 1)}),
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


def as_nodes(picture: list[tuple]) -> list[Node]:
    """A picture's nodes as the browser builds them."""
    return [
        Node(key, kind, widgets, links, place[:2], place[2:], TITLES.get(key, ""))
        for key, kind, place, widgets, links in picture
    ]


def photograph(host: Host, name: str) -> bytes:
    """Build a graph, run it, and return the PNG of what the canvas shows, as small as it gets without a change."""
    from PIL import Image

    # a new one each: it remembers widgets by a node's number
    with chromium() as browser, front_end(browser, host, size=(1500, 1300)) as shown:
        shown.build(as_nodes(PICTURES[name]))
        if name not in NOT_RUN:
            succeeded(shown.run())
        shown.page.wait_for_timeout(2000)
        shown.look_at()
        shown.page.wait_for_timeout(1000)
        taken = shown.page.screenshot(clip=shown.look_at())
    out = io.BytesIO()
    Image.open(io.BytesIO(taken)).convert("RGB").save(out, "png", optimize=True)
    return out.getvalue()


def main(arguments: list[str]) -> None:
    """Take the pictures that are named, or all."""
    recording = next((Path(one) for one in arguments if Path(one).is_file()), None)
    wanted = [one for one in arguments if one in PICTURES] or list(PICTURES)
    ASSETS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        host = Host(new_base(Path(folder)))
        if recording is not None:
            shutil.copy(recording, host.base / "input" / RECORDING)
        host.start()
        try:
            for name in wanted:
                if recording is None and LOADED in PICTURES[name]:
                    print(f"{name}: left as it is, no recording was given")
                    continue
                picture = photograph(host, name)
                (ASSETS / f"{name}.png").write_bytes(picture)
                print(f"{name}: {len(picture) // 1000} kB")
        finally:
            host.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
