"""What a person does in the browser, done with mouse, keyboard and file chooser, in both canvases."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.host_comfyui.browser import FrontEnd, Node, front_end
from tests.host_comfyui.host import failure, images, pixels, succeeded
from tests.host_comfyui.recordings import write_edf
from tests.host_comfyui.workflows import SCENES

ENCODER, MEGABYTE = "phantom-epoc14.safetensors", 2**20


@pytest.fixture(scope="module", params=[False, True], ids=["classic", "nodes2"])
def page(request, browser, host):
    with front_end(browser, host, nodes2=request.param, size=(1600, 1000)) as opened:
        yield opened


@pytest.fixture(scope="module")
def edf(tmp_path_factory) -> Path:
    """A simulated EPOC recording of two scenes."""
    path = tmp_path_factory.mktemp("recording") / "two-scenes.edf"
    write_edf(list(SCENES[:2]), path, "epoc-14", repeats=8)
    return path


@pytest.fixture(scope="module")
def triplet(tmp_path_factory) -> Path:
    """A folder with a BrainVision recording of noise: three files that name each other."""
    return write_brainvision(tmp_path_factory.mktemp("brainvision"), seed=0)


def write_brainvision(folder: Path, seed: int) -> Path:
    import pybv

    data = 1e-5 * np.random.default_rng(seed).standard_normal((3, 2000))
    pybv.write_brainvision(data=data, sfreq=200, ch_names=["O1", "O2", "Pz"], fname_base="rest", folder_out=folder)
    return folder


@pytest.fixture
def loader(page) -> str:
    """The id of EEG Load Recording, alone on the canvas."""
    return page.build([Node("recording", "SDEEG_LoadRecording", pos=(300, 200))])["recording"]["id"]


def shown(page: FrontEnd, node: str) -> list[int]:
    """The widths of the pictures that a node shows."""
    page.page.wait_for_timeout(1000)
    if page.nodes2:
        element = page.page.locator(f'[data-node-id="{node}"] img')
        return element.evaluate_all("(all) => all.filter((one) => one.complete).map((one) => one.naturalWidth)")
    return page.page.evaluate("(id) => (app.graph.getNodeById(id).imgs ?? []).map((one) => one.naturalWidth)", node)


def test_a_graph_is_made_by_hand_and_its_plot_is_seen(page, edf):
    page.build([])
    page.page.evaluate("() => { app.canvas.ds.scale = 1; app.canvas.ds.offset = [0, 0]; }")
    load = page.add_by_search("EEG Load Recording", (330, 260))
    plot = page.add_by_search("EEG Plot", (780, 260))
    preview = page.add_by_search("Preview Image", (1200, 260))
    page.connect(load, "recording", plot, "eeg")
    page.connect(plot, "image", preview, "images")
    page.choose_files(load, edf)
    assert page.widget(load, "file") == edf.name
    succeeded(page.run())
    assert shown(page, preview) == [1200]


def test_an_uploaded_recording_is_decoded_and_drawn(page, edf):
    built = page.build(
        [
            Node("recording", "SDEEG_LoadRecording", pos=(100, 120)),
            Node("encoder", "SDEEG_LoadEncoder", {"encoder": ENCODER}, pos=(100, 400)),
            Node("world", "SDEEG_LoadPhantomWorld", pos=(100, 600)),
            Node("windows", "SDEEG_SelectWindows", {"choose.average": "repeats of a label"}, pos=(420, 120)),
            Node("encode", "SDEEG_Encode", pos=(420, 460)),
            Node(
                "latent",
                "EmptyLatentImage",
                {"width": 64, "height": 64},
                {"batch_size": ("windows", 1)},
                pos=(880, 120),
            ),
            Node(
                "sampler",
                "KSampler",
                {"seed": 1, "steps": 10, "cfg": 4.0, "control_after_generate": "fixed"},
                {"model": ("world", 0), "latent_image": ("latent", 0)},
                pos=(880, 300),
            ),
            Node("pixels", "VAEDecode", {}, {"samples": ("sampler", 0), "vae": ("world", 2)}, pos=(880, 720)),
            Node("drawn", "PreviewImage", {}, {"images": ("pixels", 0)}, pos=(1200, 120), size=(300, 300)),
        ]
    )
    node = {key: made["id"] for key, made in built.items()}
    page.look_at()
    page.choose_files(node["recording"], edf)
    for start, output, end, entry in (
        ("recording", "recording", "windows", "recording"),
        ("encoder", "encoder", "encode", "encoder"),
        ("windows", "windows", "encode", "windows"),
        ("world", "model", "encode", "model"),
        ("encode", "positive", "sampler", "positive"),
        ("encode", "negative", "sampler", "negative"),
    ):
        page.connect(node[start], output, node[end], entry)
    entry = succeeded(page.run())
    first, second = images(entry)  # a picture for each of the two labels
    assert (pixels(page.host, first) != pixels(page.host, second)).any()
    assert shown(page, node["drawn"])


def test_an_example_is_opened_from_the_template_browser_and_run(page):
    page.open_template("phantom-round-trip")
    entry = succeeded(page.run())
    assert len(images(entry)) == 2 * len(SCENES) + 1  # truths, results and the traces
    page.look_at(scale=0.6)
    assert all(shown(page, node) for node in page.nodes("PreviewImage"))


def test_a_file_may_be_dropped_on_the_node(page, loader, edf):
    page.look_at()
    page.drop(page.place(loader, "title"), edf)
    page.wait_until_sent(loader)
    assert page.widget(loader, "file") == edf.name


def test_files_that_name_each_other_keep_their_names_in_a_folder_of_their_own(page, loader, triplet, tmp_path):
    page.look_at()
    page.choose_files(loader, *triplet.iterdir())
    assert page.widget(loader, "file") == "rest/rest.vhdr"
    page.choose_files(loader, *triplet.iterdir())
    assert page.widget(loader, "file") == "rest/rest.vhdr"  # the same content again
    page.choose_files(loader, *write_brainvision(tmp_path, seed=1).iterdir())
    assert page.widget(loader, "file") == "rest-2/rest.vhdr"
    stored = page.host.base / "input"
    assert {path.name for path in (stored / "rest").iterdir()} == {path.name for path in triplet.iterdir()}
    assert (stored / "rest" / "rest.eeg").read_bytes() == (triplet / "rest.eeg").read_bytes()
    assert (stored / "rest-2" / "rest.eeg").read_bytes() == (tmp_path / "rest.eeg").read_bytes()
    shutil.rmtree(stored / "rest-2")


def test_several_recordings_are_uploaded_at_once(page, loader, edf, triplet):
    page.look_at()
    page.choose_files(loader, edf, *triplet.iterdir())
    assert {page.widget(loader, "file")} <= {edf.name, "rest/rest.vhdr"}
    assert "2 recordings" in page.toasts()


def test_an_upload_can_be_undone_and_is_saved_with_the_workflow(page, loader, edf):
    page.look_at()
    page.choose_files(loader, edf)
    [saved] = page.saved()["nodes"]
    assert saved["widgets_values"] == [edf.name, "from the file", "by its content", ""]
    assert page.page.evaluate("() => app.extensionManager.workflow.activeWorkflow.isModified")
    assert "eeg_upload" not in str(page.prompt())


@pytest.mark.parametrize(("name", "header"), [("rest.eeg", ".vhdr"), ("rest.vmrk", ".vhdr"), ("night.fdt", ".set")])
def test_a_part_of_a_set_alone_is_refused_with_what_is_missing(page, loader, tmp_path, name, header):
    (tmp_path / name).write_bytes(b"part")
    page.look_at()
    page.choose_files(loader, tmp_path / name)
    said = page.toasts()
    assert name in said
    assert header in said
    assert not (page.host.base / "input" / name).exists()


def test_a_header_without_its_files_names_them(page, loader, triplet):
    page.look_at()
    page.choose_files(loader, triplet / "rest.vhdr")
    assert "rest.eeg and rest.vmrk" in page.toasts()


def test_a_file_over_the_servers_limit_is_not_sent(page, loader, tmp_path):
    with (tmp_path / "night.bdf").open("wb") as file:
        file.truncate(101 * MEGABYTE)
    page.look_at()
    page.choose_files(loader, tmp_path / "night.bdf")
    said = page.toasts()
    assert "101 MB" in said
    assert "100 MB" in said
    assert "--max-upload-size" in said
    assert not (page.host.base / "input" / "night.bdf").exists()


def test_what_the_server_refuses_is_said(page, loader, edf):
    page.page.route("**/upload/image", lambda route: route.fulfill(status=507, body="full"))
    page.look_at()
    page.choose_files(loader, edf)
    page.page.unroute("**/upload/image")
    assert "did not take two-scenes.edf: 507" in page.toasts()


def test_a_broken_file_is_explained_on_the_node(page, tmp_path):
    (tmp_path / "unreadable.edf").write_bytes(b"this is no recording" * 40)
    built = page.build(
        [
            Node("recording", "SDEEG_LoadRecording", pos=(300, 200)),
            Node("plot", "SDEEG_Plot", {}, {"eeg": ("recording", 0)}, pos=(700, 200)),
            Node("seen", "PreviewImage", {}, {"images": ("plot", 0)}, pos=(1050, 200)),
        ]
    )
    page.look_at()
    page.choose_files(built["recording"]["id"], tmp_path / "unreadable.edf")
    said = failure(page.run())
    assert "unreadable.edf" in said
    assert "Traceback" not in said
    last = page.page.evaluate("() => app.extensionManager.lastExecutionError")
    assert str(last["node_id"]) == built["recording"]["id"]
    page.page.get_by_role("button", name="View details").click()
    page.page.get_by_text("not an EDF or BDF file").first.wait_for()
