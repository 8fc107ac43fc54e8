"""The example workflows, as groups of columns of nodes; `make_workflows.py` has the front end save them."""

from dataclasses import dataclass, field, replace
from typing import Any

from tests.host_comfyui.browser import FrontEnd, Node
from tests.host_comfyui.workflow_notes import IMAGE_ENCODER, NOTES, RECORDING, SD15

ENCODER = "n170-subject1.safetensors"
PHANTOM_ENCODER = "phantom-epoc14.safetensors"
PICTURE_ENCODER = "phantom-epoc14-saliency.safetensors"
SD15_URL = f"https://huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/{SD15}?download=true"
SCENES = (
    "a large red star at the top left",
    "a small blue ring on the right",
    "a large green cross in the middle",
    "a small yellow triangle at the bottom",
)
HELD_OUT = (  # scenes that no encoder which comes with the pack was trained on
    "a large red star on the right",
    "a small green cross at the top left",
    "a small blue square at the bottom",
    "a small yellow triangle at the top right",
)
NOTE_SIZE, GAP, TITLE, PADDING, APART = (400, 400), 40, 30, 16, 24
Columns = list[list[Node]]


@dataclass(frozen=True)
class Workflow:
    """What a workflow shows, in words, and its groups: a title and columns of nodes.

    focus: the nodes that its thumbnail shows; without any, it is what the workflow draws.
    """

    note: str
    groups: dict[str, Columns] = field(default_factory=dict)
    focus: tuple[str, ...] = ()


def laid_out(workflow: Workflow, front_end: FrontEnd) -> tuple[list[Node], list[dict[str, Any]]]:
    """Return the nodes with their places, a note at the left of them, and the boxes of the groups."""
    note = Node("note", "MarkdownNote", {"": workflow.note}, size=NOTE_SIZE)
    nodes = [note, *(node for columns in workflow.groups.values() for column in columns for node in column)]
    sizes = {key: built["size"] for key, built in front_end.build(nodes).items()}
    placed, groups, x = [replace(note, pos=(0, 0))], [], NOTE_SIZE[0] + APART
    for title, columns in workflow.groups.items():
        left, bottom = x, 0.0
        x += PADDING
        for column in columns:
            y = 40.0
            for node in column:
                placed.append(replace(node, pos=(x, y)))
                y += sizes[node.key][1] + TITLE + GAP
            x += max(sizes[node.key][0] for node in column) + GAP
            bottom = max(bottom, y - GAP - TITLE)
        x += PADDING - GAP
        groups.append({"title": title, "bounding": [left, -TITLE, x - left, bottom + PADDING + TITLE]})
        x += APART
    return placed, groups


def recording() -> Node:
    return Node("recording", "SDEEG_LoadRecording", {"file": RECORDING}, size=(330, 0))


def phantom(**more: Any) -> Node:
    widgets = {"scenes": "captions", "scenes.captions": "\n".join(SCENES)} | more
    return Node("phantom", "SDEEG_Phantom", widgets, size=(330, 0))


def windows(source: str, **choice: Any) -> Node:
    choice = choice or {"choose": "events", "choose.average": "repeats of a label"}
    return Node("windows", "SDEEG_SelectWindows", choice, {"recording": (source, 0)}, size=(300, 0))


def encoder(name: str) -> Node:
    return Node("encoder", "SDEEG_LoadEncoder", {"encoder": name}, size=(330, 0))


def world() -> Node:
    return Node("checkpoint", "SDEEG_LoadPhantomWorld", size=(300, 0))


def checkpoint(name: str) -> Node:
    models = [{"name": SD15, "url": SD15_URL, "directory": "checkpoints"}] if name == SD15 else []
    properties = {"models": models} if models else {}
    return Node("checkpoint", "CheckpointLoaderSimple", {"ckpt_name": name}, size=(340, 0), properties=properties)


def encode(source: tuple[str, int] = ("encoder", 0), **more: Any) -> Node:
    links = {"encoder": source, "windows": ("windows", 0), "model": ("checkpoint", 0), "clip": ("checkpoint", 1)}
    return Node("encode", "SDEEG_Encode", more, links, size=(340, 380))


def shown(key: str, source: tuple[str, int], title: str, size: tuple[int, int] = (340, 200)) -> Node:
    return Node(key, "PreviewAny", {}, {"source": source}, size=size, title=title)


def text(key: str, words: str, title: str) -> Node:
    return Node(key, "CLIPTextEncode", {"text": words}, {"clip": ("checkpoint", 1)}, size=(300, 120), title=title)


def latent(pixels: int, batch: tuple[str, int] = ("windows", 1)) -> Node:
    widgets = {"width": pixels, "height": pixels}
    return Node("latent", "EmptyLatentImage", widgets, {"batch_size": batch}, size=(300, 0))


def sampler(positive: tuple[str, int], negative: tuple[str, int], links: dict | None = None, **more: Any) -> Node:
    widgets = {"seed": 1, "control_after_generate": "fixed", "steps": 25, "cfg": 7.0} | more
    widgets = {"sampler_name": "dpmpp_2m", "scheduler": "karras"} | widgets
    wired = {"model": ("checkpoint", 0), "positive": positive, "negative": negative, "latent_image": ("latent", 0)}
    return Node("sampler", "KSampler", widgets, wired | (links or {}), size=(300, 0))


def drawn_by_phantom(
    positive: tuple[str, int], negative: tuple[str, int], links: dict | None = None, **more: Any
) -> Node:
    return sampler(positive, negative, links, **{"steps": 20, "cfg": 4.0, "scheduler": "normal"} | more)


def pixels() -> Node:
    return Node("pixels", "VAEDecode", {}, {"samples": ("sampler", 0), "vae": ("checkpoint", 2)}, size=(300, 0))


def pictures(key: str, source: tuple[str, int], title: str, size: tuple[int, int] = (300, 310)) -> Node:
    return Node(key, "PreviewImage", {}, {"images": source}, size=size, title=title)


def enlarged(key: str, source: tuple[str, int]) -> Node:
    """Make the phantom's small pictures large enough to be seen."""
    widgets = {"upscale_method": "nearest-exact", "scale_by": 4.0}
    return Node(key, "ImageScaleBy", widgets, {"image": source}, size=(300, 0))


def saved() -> Node:
    return Node("image", "SaveImage", {"filename_prefix": "eeg"}, {"images": ("pixels", 0)}, size=(400, 460))


TRUTH_AND_RESULT = [
    [
        enlarged("truth enlarged", ("phantom", 1)),
        pictures("truth", ("truth enlarged", 0), "Truth: what was shown"),
        enlarged("image enlarged", ("pixels", 0)),
        pictures("image", ("image enlarged", 0), "Result: drawn from simulated EEG"),
    ]
]

WORKFLOWS = {
    "eeg-to-image": Workflow(
        NOTES["eeg-to-image"],
        {
            "Recording": [[recording(), windows("recording")]],
            "Models": [[encoder(ENCODER), checkpoint(SD15)]],
            "Decode": [[encode(), shown("report", ("encode", 5), "What was decoded")]],
            "Draw": [[latent(512), sampler(("encode", 0), ("encode", 1)), pixels()], [saved()]],
        },
        ("encode", "report", "latent", "sampler", "pixels"),
    ),
    "eeg-and-text": Workflow(
        NOTES["eeg-and-text"],
        {
            "Recording": [[recording(), windows("recording")]],
            "Models": [[encoder(ENCODER), checkpoint(SD15)]],
            "EEG": [[encode(), shown("report", ("encode", 5), "What was decoded")]],
            "Text": [
                [
                    text("words", "oil painting, thick brush strokes, warm evening light", "Prompt"),
                    text("without", "blurry, text, watermark", "Negative prompt"),
                    Node("blend", "SDEEG_BlendConditioning", {"amount": 0.6, "driven_by": "amount x confidence"},
                         {"text": ("words", 0), "eeg": ("encode", 0)}, size=(300, 0)),
                ]
            ],
            "Draw": [[latent(512), sampler(("blend", 0), ("without", 0)), pixels()], [saved()]],
        },
        ("encode", "report", "words", "without", "blend"),
    ),
    "phantom-round-trip": Workflow(
        NOTES["phantom-round-trip"],
        {
            "Simulated recording, models": [[phantom(), encoder(PHANTOM_ENCODER), world()]],
            "Moments": [[
                windows("phantom"),
                Node("plot", "SDEEG_Plot", {"kind": "traces", "kind.duration": 4.0}, {"eeg": ("phantom", 0)},
                     size=(300, 0)),
                pictures("traces", ("plot", 0), "Its first seconds (simulated)", (300, 240)),
            ]],
            "Decode": [[encode(), shown("report", ("encode", 5), "What was decoded")]],
            "Draw": [[latent(64), drawn_by_phantom(("encode", 0), ("encode", 1)), pixels()]],
            "Truth and result": TRUTH_AND_RESULT,
        },
    ),
    "saliency-to-image": Workflow(
        NOTES["saliency-to-image"],
        {
            "Simulated recording, models": [[phantom(**{"scenes.captions": "\n".join(HELD_OUT), "repeats": 16}),
                                             encoder(PICTURE_ENCODER), world()]],
            "What was seen": [[windows("phantom"), encode(), shown("report", ("encode", 5), "What was decoded")]],
            "Where it was": [[
                Node("saliency", "SDEEG_Saliency", {"width": 64, "height": 64},
                     {"encoder": ("encoder", 0), "windows": ("windows", 0)}, size=(340, 0)),
                enlarged("start enlarged", ("saliency", 0)),
                pictures("start", ("start enlarged", 0), "Start: decoded from simulated EEG"),
            ]],
            "Draw": [[
                Node("latent", "VAEEncode", {}, {"pixels": ("saliency", 0), "vae": ("checkpoint", 2)}, size=(300, 0)),
                drawn_by_phantom(("encode", 0), ("encode", 1), denoise=0.5), pixels(),
            ]],
            "Truth and result": TRUTH_AND_RESULT,
        },
    ),
    "ip-adapter": Workflow(
        NOTES["ip-adapter"],
        {
            "Recording": [[recording(), windows("recording")]],
            "Models": [[encoder(IMAGE_ENCODER), checkpoint(SD15), Node(
                "adapter", "IPAdapterModelLoader", {"ipadapter_file": "ip-adapter_sd15.safetensors"}, size=(340, 0))]],
            "EEG": [[encode(), shown("report", ("encode", 5), "What was decoded")]],
            "Steer": [[
                Node("adapted", "IPAdapterEmbeds", {"weight": 0.8},
                     {"model": ("checkpoint", 0), "ipadapter": ("adapter", 0), "pos_embed": ("encode", 3),
                      "neg_embed": ("encode", 6)}, size=(300, 300)),  # without the pack Nodes 2.0 adds a line of red
                text("words", "a photograph", "Prompt"),
                text("without", "blurry, text, watermark", "Negative prompt"),
            ]],
            "Draw": [[latent(512), sampler(("words", 0), ("without", 0), {"model": ("adapted", 0)}), pixels()],
                     [saved()]],
        },
        ("encode", "report", "adapted", "words", "without"),
    ),
    "unclip": Workflow(
        NOTES["unclip"],
        {
            "Recording": [[recording(), windows("recording")]],
            "Models": [[encoder(IMAGE_ENCODER), checkpoint("sd21-unclip-h.ckpt")]],
            "EEG": [[encode(), shown("report", ("encode", 5), "What was decoded")]],
            "Steer": [[
                text("words", "a photograph", "Prompt"),
                text("without", "blurry, text, watermark", "Negative prompt"),
                Node("unclip", "unCLIPConditioning", {"strength": 1.0, "noise_augmentation": 0.1},
                     {"conditioning": ("words", 0), "clip_vision_output": ("encode", 2)}, size=(300, 0)),
            ]],
            "Draw": [[latent(768), sampler(("unclip", 0), ("without", 0)), pixels()], [saved()]],
        },
        ("encode", "report", "words", "without", "unclip"),
    ),
    "band-power-denoise": Workflow(
        NOTES["band-power-denoise"],
        {
            "Simulated recording": [[phantom(**{"scenes.captions": SCENES[0], "repeats": 20, "snr": 0.0}),
                                     windows("phantom", **{"choose": "sliding", "choose.per_second": 1.0,
                                                           "choose.start": 2.0, "choose.stop": 14.0})]],
            "Rhythm": [[
                Node("power", "SDEEG_BandPower", {"band": "alpha", "channels": "occipital", "out_low": 0.05,
                     "out_high": 0.95, "smoothing": 0.2}, {"windows": ("windows", 0)}, size=(340, 0)),
                pictures("course", ("power", 2), "Alpha power and what it becomes (simulated)", (340, 300)),
            ]],
            "Pictures": [[
                world(),
                text("words", SCENES[1], "Prompt: where alpha leads"),
                text("without", "", "Negative prompt"),
                Node("latent", "VAEEncode", {}, {"pixels": ("phantom", 1), "vae": ("checkpoint", 2)}, size=(300, 0)),
            ]],
            "Draw": [
                [drawn_by_phantom(("words", 0), ("without", 0), {"denoise": ("power", 1)}, cfg=1.0), pixels(),
                 enlarged("image enlarged", ("pixels", 0))],
                [pictures("truth", ("phantom", 1), "Where it starts", (240, 270)),
                 pictures("image", ("image enlarged", 0), "One picture for each window", (420, 360))],
            ],
        },
    ),
    "train-in-the-graph": Workflow(
        NOTES["train-in-the-graph"],
        {
            "Recording to learn from (simulated)": [[replace(phantom(repeats=40, seed=1), key="learn"), world()]],
            "Train": [[
                Node("trainer", "SDEEG_TrainEncoder", {"name": "four scenes (simulated)"}, {"recording": ("learn", 0)},
                     size=(340, 360)),
                shown("score", ("trainer", 1), "Score on stretches that were left out"),
                Node("save", "SDEEG_SaveEncoder", {"filename": "four-scenes-simulated"}, {"encoder": ("trainer", 0)},
                     size=(340, 0)),
            ]],
            "Second recording (simulated)": [[phantom(repeats=4, seed=2), windows("phantom")]],
            "Use it": [[encode(("trainer", 0)), shown("report", ("encode", 5), "What was decoded")],
                       [latent(64), drawn_by_phantom(("encode", 0), ("encode", 1)), pixels()]],
            "Truth and result": TRUTH_AND_RESULT,
        },
    ),
}  # fmt: skip
