"""The example workflows, as groups of columns of nodes; `make_workflows.py` lays them out and has the front end save them."""

from dataclasses import dataclass, field, replace
from typing import Any

from tests.host_comfyui.browser import FrontEnd, Node

RECORDING = "my-recording.edf"
ENCODER = "n170-subject1.safetensors"
PHANTOM_ENCODER = "phantom-epoc14.safetensors"
IMAGE_ENCODER = "my-clip-h-encoder.safetensors"
SD15 = "v1-5-pruned-emaonly-fp16.safetensors"
SD15_URL = f"https://huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/{SD15}?download=true"
SCENES = (
    "a large red star at the top left",
    "a small blue ring on the right",
    "a large green cross in the middle",
    "a small yellow triangle at the bottom",
)
SIMULATED = "**Simulated: this is not brain data.** The phantom is a head model that looks at drawn scenes."
NOTE_SIZE, GAP, TITLE, PADDING = (400, 400), 40, 30, 24
Columns = list[list[Node]]


@dataclass(frozen=True)
class Workflow:
    """What a workflow shows, in words, and its groups: a title and columns of nodes."""

    note: str
    groups: dict[str, Columns] = field(default_factory=dict)
    own_note_size: tuple[int, int] = NOTE_SIZE


def laid_out(workflow: Workflow, front_end: FrontEnd) -> tuple[list[Node], list[dict[str, Any]]]:
    """Return the nodes with their places, a note at the left of them, and the boxes of the groups."""
    note = Node("note", "MarkdownNote", {"": workflow.note}, size=workflow.own_note_size)
    nodes = [note, *(node for columns in workflow.groups.values() for column in columns for node in column)]
    sizes = front_end.build(nodes)
    placed, groups, x = [replace(note, pos=(0, 0))], [], workflow.own_note_size[0] + 2 * PADDING
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
        x += 2 * PADDING
    return placed, groups


def recording() -> Node:
    return Node("recording", "SDEEG_LoadRecording", {"file": RECORDING}, size=(330, 0))


def phantom(**more: Any) -> Node:
    widgets = {"scenes": "captions", "scenes.captions": "\n".join(SCENES), "control_after_generate": "fixed"} | more
    return Node("phantom", "SDEEG_Phantom", widgets, size=(330, 330))


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
    widgets = {"seed": 1, "control_after_generate": "fixed", "steps": 25, "cfg": 7.0, "sampler_name": "dpmpp_2m"} | more
    wired = {"model": ("checkpoint", 0), "positive": positive, "negative": negative, "latent_image": ("latent", 0)}
    return Node("sampler", "KSampler", widgets, wired | (links or {}), size=(300, 0))


def pixels() -> Node:
    return Node("pixels", "VAEDecode", {}, {"samples": ("sampler", 0), "vae": ("checkpoint", 2)}, size=(300, 0))


def pictures(key: str, source: tuple[str, int], title: str, size: tuple[int, int] = (360, 400)) -> Node:
    return Node(key, "PreviewImage", {}, {"images": source}, size=size, title=title)


def saved() -> Node:
    return Node("image", "SaveImage", {"filename_prefix": "eeg"}, {"images": ("pixels", 0)}, size=(400, 460))


OWN_FILES = f"""**Files**
- a recording of the headset the encoder was made for: press *upload EEG file(s)*
- `models/checkpoints/{SD15}`, or any other SD 1.x, SDXL, SD 3 or Flux checkpoint"""
N170 = """The encoder that comes with the pack, `n170-subject1`, tells whether one person with a Muse headset saw a face or a \
house. It does not work for anyone else: make your own with *train-in-the-graph*."""
IMAGE_VECTORS = """No such encoder comes with the pack: `trainer/train.py --preset ...` makes one from recordings of \
pictures that were looked at. This workflow shows how its vectors are connected."""

WORKFLOWS = {
    "eeg-to-image": Workflow(
        f"""# EEG to image
A recording takes the place of the prompt: each window is decoded into conditioning, and a picture is drawn for each. Here \
all repeats of an event's label are averaged first, for a single response drowns in noise.

{N170}

{OWN_FILES}""",
        {
            "Recording": [[recording(), windows("recording")]],
            "Models": [[encoder(ENCODER), checkpoint(SD15)]],
            "Decode": [[encode(), shown("report", ("encode", 5), "What was decoded")]],
            "Draw": [[latent(512), sampler(("encode", 0), ("encode", 1)), pixels()], [saved()]],
        },
    ),
    "eeg-and-text": Workflow(
        f"""# EEG and text
What the recording says is blended with a prompt. With *amount x confidence* the EEG counts as far as the decoder is sure of \
it, and a window that it only guesses at is left to the text. An amount of 0 is the text alone, bit for bit.

{N170}

{OWN_FILES}""",
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
    ),
    "phantom-round-trip": Workflow(
        f"""# Phantom round trip
Scenes are shown to a simulated brain, its EEG is decoded, and the decoded conditioning draws the scenes anew, beside the \
truth. Lower *snr* to see where it fails; at 0 nothing of the scenes is in the signal.

{SIMULATED}

**Files:** none. Everything comes with the pack and runs on a CPU in seconds.""",
        {
            "Simulated recording": [[phantom()], [windows("phantom"), Node(
                "plot", "SDEEG_Plot", {"kind": "traces", "kind.duration": 4.0}, {"eeg": ("phantom", 0)}, size=(300, 0)),
                pictures("traces", ("plot", 0), "The first seconds of it (simulated)", (300, 230))]],
            "Decode": [[encoder(PHANTOM_ENCODER), encode(), shown("report", ("encode", 5), "What was decoded")]],
            "Draw": [[world(), latent(64), sampler(("encode", 0), ("encode", 1), cfg=4.0, steps=20), pixels()]],
            "Truth and result": [[pictures("truth", ("phantom", 1), "Truth: what was shown"),
                                  pictures("image", ("pixels", 0), "Result: drawn from the simulated EEG")]],
        },
    ),
    "ip-adapter": Workflow(
        f"""# IP-Adapter
Image vectors decoded from EEG steer an IP-Adapter, as a reference picture would; the prompt keeps its say.

Needs an encoder with a `clip-h.image` head. {IMAGE_VECTORS}

**Files**
- the pack ComfyUI_IPAdapter_plus
- `models/ipadapter/ip-adapter_sd15.safetensors`
- `models/checkpoints/{SD15}`
- `models/eeg_encoders/{IMAGE_ENCODER}`: your own
- a recording: press *upload EEG file(s)*""",
        {
            "Recording": [[recording(), windows("recording")]],
            "Models": [[encoder(IMAGE_ENCODER), checkpoint(SD15), Node(
                "adapter", "IPAdapterModelLoader", {"ipadapter_file": "ip-adapter_sd15.safetensors"}, size=(340, 0))]],
            "EEG": [[encode(), shown("report", ("encode", 5), "What was decoded")]],
            "Steer": [[
                Node("adapted", "IPAdapterEmbeds", {"weight": 0.8},
                     {"model": ("checkpoint", 0), "ipadapter": ("adapter", 0), "pos_embed": ("encode", 3),
                      "neg_embed": ("encode", 6)}, size=(300, 0)),
                text("words", "a photograph", "Prompt"),
                text("without", "blurry, text, watermark", "Negative prompt"),
            ]],
            "Draw": [[latent(512), sampler(("words", 0), ("without", 0), {"model": ("adapted", 0)}), pixels()],
                     [saved()]],
        },
    ),
    "unclip": Workflow(
        f"""# unCLIP
Image vectors decoded from EEG take the place of the picture in Stable Diffusion 2.1 unCLIP. The same output steers plain \
SDXL base through the same node, with a `clip-g.image` head.

Needs an encoder with a `clip-h.image` head. {IMAGE_VECTORS}

**Files**
- `models/checkpoints/sd21-unclip-h.ckpt`
- `models/eeg_encoders/{IMAGE_ENCODER}`: your own
- a recording: press *upload EEG file(s)*""",
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
    ),
    "band-power-denoise": Workflow(
        f"""# Band power drives denoise
A window slides over the recording, and the strength of its alpha rhythm (8 to 13 Hz, at the back of the head) becomes the \
sampler's *denoise*: where alpha is weak the first picture stays, where it is strong it turns into the prompt's. *values* is \
a list, so the sampler runs once for each window. It drives any other number the same way.

{SIMULATED} Put EEG Load Recording in its place to use your own.

**Files:** none. Everything comes with the pack and runs on a CPU in seconds.""",
        {
            "Simulated recording": [[phantom(**{"scenes.captions": SCENES[0], "repeats": 20, "snr": 0.0}),
                                     windows("phantom", choose="sliding", **{"choose.per_second": 1.0, "choose.start": 2.0,
                                             "choose.stop": 14.0})]],
            "Rhythm": [[
                Node("power", "SDEEG_BandPower", {"band": "alpha", "channels": "occipital", "out_low": 0.3,
                     "out_high": 1.0, "smoothing": 0.2}, {"windows": ("windows", 0)}, size=(340, 0)),
                pictures("course", ("power", 2), "Alpha power and what it becomes (simulated)", (340, 260)),
            ]],
            "Pictures": [[
                world(),
                text("words", SCENES[1], "Prompt: where alpha leads"),
                text("without", "", "Negative prompt"),
                Node("latent", "VAEEncode", {}, {"pixels": ("phantom", 1), "vae": ("checkpoint", 2)}, size=(300, 0)),
            ]],
            "Draw": [
                [sampler(("words", 0), ("without", 0), {"denoise": ("power", 1)}, cfg=4.0, steps=20), pixels(),
                 pictures("truth", ("phantom", 1), "Where it starts", (300, 300))],
                [pictures("image", ("pixels", 0), "One picture for each window", (480, 520))],
            ],
        },
    ),
    "train-in-the-graph": Workflow(
        f"""# Train in the graph
An encoder is fitted to a labelled recording in seconds, scored on stretches of it that were left out, saved, and used at \
once on a second recording of the same person.

For your own: take EEG Load Recording for both phantoms, write a caption for each of your labels, and keep *prompts* unless \
you have hundreds of captions. The report says whether the score is better than chance.

{SIMULATED}

**Files:** none. Everything comes with the pack and runs on a CPU.""",
        {
            "Recording to learn from (simulated)": [[
                replace(phantom(scenes="many, to train on", **{"scenes.count": 300, "repeats": 8, "seed": 1}),
                        key="learn", widgets={"scenes": "many, to train on", "scenes.count": 300, "repeats": 8, "seed": 1,
                                              "control_after_generate": "fixed"}, size=(330, 0)),
                world(),
            ]],
            "Train": [[
                Node("trainer", "SDEEG_TrainEncoder",
                     {"targets": "prompts and text states", "architecture": "linear", "name": "phantom (simulated)"},
                     {"recording": ("learn", 0), "clip": ("checkpoint", 1)}, size=(340, 360)),
                shown("score", ("trainer", 1), "Score on stretches that were left out"),
                Node("save", "SDEEG_SaveEncoder", {"filename": "my-phantom-encoder"}, {"encoder": ("trainer", 0)},
                     size=(340, 0)),
            ]],
            "Second recording (simulated)": [[phantom(seed=2), windows("phantom")]],
            "Use it": [[encode(("trainer", 0))],
                       [latent(64), sampler(("encode", 0), ("encode", 1), cfg=4.0, steps=20), pixels()]],
            "Truth and result": [[pictures("truth", ("phantom", 1), "Truth: what was shown"),
                                  pictures("image", ("pixels", 0), "Result: drawn from the simulated EEG")]],
        },
    ),
}  # fmt: skip
