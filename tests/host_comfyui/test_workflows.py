"""Every example workflow opens in the real front end, in both canvases, is queued over HTTP and ends well."""

import io
import itertools
import json
import urllib.request

import numpy as np
import pytest
from PIL import Image

from core.model.checkpoint import load_encoder
from tests.host_comfyui.browser import FrontEnd, front_end
from tests.host_comfyui.host import ROOT, Host, images, pixels, succeeded
from tests.host_comfyui.recordings import write_edf
from tests.host_comfyui.test_ipadapter import adapter  # noqa: F401
from tests.host_comfyui.workflow_notes import IMAGE_ENCODER, RECORDING, SD15
from tests.host_comfyui.workflows import HELD_OUT, SCENES, WORKFLOWS

FOLDER = ROOT / "example_workflows"
COMPLETE = [name for name, workflow in WORKFLOWS.items() if not workflow.focus]  # need nothing but the pack
SMALL = {"width": 64, "height": 64, "steps": 2}


def read(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text())


@pytest.fixture(scope="module", params=[False, True], ids=["classic", "nodes2"])
def page(request, browser, host):
    with front_end(browser, host, nodes2=request.param, size=(2400, 1200)) as opened:
        yield opened


@pytest.fixture(scope="module")
def classic(browser, host):
    with front_end(browser, host) as opened:
        yield opened


@pytest.fixture(scope="module")
def muse(host) -> None:
    """A simulated recording of the headset that the encoder in the examples was made for, as a user would upload it."""
    write_edf(list(SCENES[:2]), host.base / "input" / RECORDING, "muse-4")


def test_every_workflow_has_a_square_thumbnail():
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == sorted(WORKFLOWS)
    for name in WORKFLOWS:
        with Image.open(FOLDER / f"{name}.jpg") as picture:
            assert picture.size == (512, 512)


def test_workflows_of_the_phantom_say_that_it_is_simulated():
    for name, workflow in WORKFLOWS.items():
        if any(node["type"] == "SDEEG_Phantom" for node in read(name)["nodes"]):
            assert "not brain data" in workflow.note


def test_the_template_browser_is_given_every_workflow_and_its_picture(host):
    assert sorted(host.get("/workflow_templates")["sd-eeg"]) == sorted(WORKFLOWS)
    for name in WORKFLOWS:
        address = f"{host.address}/api/workflow_templates/sd-eeg/{name}"
        with urllib.request.urlopen(f"{address}.jpg") as reply:
            assert Image.open(io.BytesIO(reply.read())).format == "JPEG"
        with urllib.request.urlopen(f"{address}.json") as reply:
            assert json.load(reply) == read(name)


def boxes(page: FrontEnd) -> list[tuple[str, list[float]]]:
    """The title and the box of every node as it is drawn."""
    if page.nodes2:
        return page.page.evaluate(
            """() => [...document.querySelectorAll("[data-node-id]")].map((element) => {
              const { left, top, width, height } = element.getBoundingClientRect();
              return [element.innerText.split("\\n")[0], [left, top, width, height]];
            })"""
        )
    return page.page.evaluate("() => app.graph._nodes.map((node) => [node.title, [...node.getBounding()]])")


def overlap(one: list[float], other: list[float]) -> bool:
    return all(one[i] < other[i] + other[i + 2] and other[i] < one[i] + one[i + 2] for i in (0, 1))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_opens_whole_and_neat(page, name):
    page.load(read(name))
    page.look_at(scale=0.6)
    known = page.page.evaluate("() => app.graph._nodes.map((node) => [node.type, !!node.constructor.nodeData])")
    missing = {kind for kind, is_known in known if not is_known} - {"MarkdownNote"}
    assert missing <= {"IPAdapterEmbeds", "IPAdapterModelLoader"}  # of another pack, which may not be there
    drawn = boxes(page)
    assert len(drawn) == len(read(name)["nodes"])
    assert not [(one, other) for (one, a), (other, b) in itertools.combinations(drawn, 2) if overlap(a, b)]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_saving_and_opening_again_queues_the_same(page, name):
    page.load(read(name))
    queued = page.prompt()
    page.load(page.saved())
    assert page.prompt() == queued


def queued(page: FrontEnd, name: str, names: dict[str, str]) -> dict:
    """What Run would queue of a workflow, with other files and, where these are not the pack's own, small pictures."""
    page.load(read(name))
    prompt = {key: node for key, node in page.prompt().items() if node["class_type"] != "MarkdownNote"}
    for node in prompt.values():
        for key, value in node["inputs"].items():
            if isinstance(value, str):
                node["inputs"][key] = names.get(value, value)
            elif names and node["class_type"] in ("EmptyLatentImage", "KSampler") and not isinstance(value, list):
                node["inputs"][key] = SMALL.get(key, value)
    return prompt


def drawn_by(host: Host, entry: dict, page: FrontEnd, start_of_title: str) -> list[np.ndarray]:
    """The pictures that the node of a title shows."""
    [node] = page.page.evaluate(
        "(start) => app.graph._nodes.filter((node) => node.title.startsWith(start)).map((node) => String(node.id))",
        start_of_title,
    )
    return [pixels(host, image) for image in entry["outputs"][node]["images"]]


@pytest.mark.parametrize("name", ["eeg-to-image", "eeg-and-text"])
def test_a_recording_is_decoded_and_drawn(host, checkpoints, classic, muse, name):
    entry = succeeded(host.run(queued(classic, name, {SD15: "sd1-text.safetensors"})))
    first, second = images(entry)  # a picture for each label
    assert (pixels(host, first) != pixels(host, second)).any()


def test_an_ip_adapter_is_steered(host, ipadapter, checkpoints, classic, adapter):  # noqa: F811
    names = {
        SD15: "sd1-text.safetensors", IMAGE_ENCODER: "sd1.safetensors", RECORDING: "noise.safetensors",
        "ip-adapter_sd15.safetensors": adapter,
    }  # fmt: skip
    assert len(images(succeeded(host.run(queued(classic, "ip-adapter", names))))) == 2


def test_unclip_takes_decoded_vectors(host, checkpoints, classic):
    names = {"sd21-unclip-h.ckpt": "sd2-unclip.safetensors", IMAGE_ENCODER: "sd2.safetensors"}
    prompt = queued(classic, "unclip", names | {RECORDING: "noise.safetensors"})
    [encode] = [key for key, node in prompt.items() if node["class_type"] == "SDEEG_Encode"]
    # The small checkpoint holds no text encoder: what the same encoder says of the text stands in for the prompts'.
    texts = [key for key, node in prompt.items() if node["class_type"] == "CLIPTextEncode"]
    del prompt[encode]["inputs"]["clip"]
    for node in prompt.values():
        for key, value in node["inputs"].items():
            if isinstance(value, list) and value[0] in texts:
                node["inputs"][key] = [encode, texts.index(value[0])]
    prompt = {key: node for key, node in prompt.items() if key not in texts}
    assert len(images(succeeded(host.run(prompt)))) == 2


def own_is_nearest(truth: list[np.ndarray], results: list[np.ndarray]) -> int:
    """How many results are more like their own truth than like any other's."""
    rows = [[np.abs(one.astype(float) - result).mean() for one in truth] for result in results]
    return sum(int(np.argmin(row)) == number for number, row in enumerate(rows))


@pytest.mark.parametrize("name", ["phantom-round-trip", "train-in-the-graph"])
def test_the_phantom_draws_what_was_shown(host, classic, name):
    entry = succeeded(host.run(queued(classic, name, {})))
    truth, results = drawn_by(host, entry, classic, "Truth"), drawn_by(host, entry, classic, "Result")
    assert len(truth) == len(results) == len(SCENES)
    assert own_is_nearest(truth, results) == len(SCENES)


def test_the_saliency_picture_puts_in_place_what_the_text_only_names(host, classic):
    prompt = queued(classic, "saliency-to-image", {})
    [sampler] = [node for node in prompt.values() if node["class_type"] == "KSampler"]
    assert 0 < sampler["inputs"]["denoise"] < 1

    def found() -> int:
        entry = succeeded(host.run(prompt))
        truth, results = drawn_by(host, entry, classic, "Truth"), drawn_by(host, entry, classic, "Result")
        assert len(truth) == len(results) == len(HELD_OUT)
        return own_is_nearest(truth, results)

    with_picture = found()
    sampler["inputs"]["denoise"] = 1.0
    assert with_picture == len(HELD_OUT) > found()


def test_training_in_the_graph_leaves_an_encoder(host, classic):
    succeeded(host.run(queued(classic, "train-in-the-graph", {})))
    [first, *_] = sorted((host.base / "models" / "eeg_encoders").glob("four-scenes-simulated*.safetensors"))
    encoder = load_encoder(first)
    assert encoder.spaces == ("prompts",)
    assert encoder.card["simulated"] is True


def test_band_power_drives_denoise_window_by_window(host, classic):
    prompt = queued(classic, "band-power-denoise", {})
    [power] = [key for key, node in prompt.items() if node["class_type"] == "SDEEG_BandPower"]
    prompt["values"] = {"class_type": "PreviewAny", "inputs": {"source": [power, 1]}}
    entry = succeeded(host.run(prompt))
    [start] = drawn_by(host, entry, classic, "Where it starts")
    # they are shown four times as large
    drawn = [one[::4, ::4] for one in drawn_by(host, entry, classic, "One picture for each window")]
    assert len(drawn) == 12
    values = [float(value) for value in entry["outputs"]["values"]["text"]]
    changes = [np.abs(start.astype(float) - one).mean() for one in drawn]
    assert len(values) == len(drawn)
    assert changes[int(np.argmin(values))] < changes[int(np.argmax(values))]


def test_every_workflow_is_run_here():
    assert {*COMPLETE, "eeg-to-image", "eeg-and-text", "ip-adapter", "unclip"} == set(WORKFLOWS)
