"""The trainer in the graph: fit, save, load, decode; and the Cancel button."""

import time

import numpy as np
import pytest

from core.formats.toolboxes.native import save_recording
from core.model.checkpoint import load_encoder
from core.recording import Event, Recording
from tests.host_comfyui.graphs import eeg_graph, encode, node, save, saved
from tests.host_comfyui.host import Host, failure, succeeded
from tests.small_encoders import CHANNELS


def labelled_recording(n_events: int, sfreq: float = 128.0) -> Recording:
    """Noise with a slow wave of either sign after each event, so that the two labels can be told apart."""
    rng = np.random.default_rng(0)
    data = 1e-5 * rng.standard_normal((len(CHANNELS), round((n_events * 1.2 + 3) * sfreq)))
    events = tuple(Event(1.5 + 1.2 * i, 0.0, ("face", "house")[int(rng.integers(2))]) for i in range(n_events))
    wave = 1e-5 * np.sin(np.linspace(0, np.pi, round(0.5 * sfreq)))
    for event in events:
        start = round((event.onset + 0.2) * sfreq)
        data[:4, start : start + len(wave)] += wave if event.label == "face" else -wave
    return Recording(data.astype(np.float32), sfreq, CHANNELS, None, events)


def training(recording: str, **more) -> dict:
    settings = {"captions": "face = a portrait photo\nhouse = a photo of a house", "targets": "prompts",
                "architecture": "tangent", "from_s": -0.1, "to_s": 0.8, "high_pass": 1.0, "low_pass": 30.0,
                "name": "from the graph"}  # fmt: skip
    return {
        "recording": node("SDEEG_LoadRecording", file=recording),
        "train": node("SDEEG_TrainEncoder", recording=["recording", 0], **settings | more),
        "report": node("PreviewAny", source=["train", 1]),
    }


@pytest.fixture(scope="module")
def labelled(host) -> str:
    save_recording(labelled_recording(80), host.base / "input" / "labelled.safetensors")
    return "labelled.safetensors"


@pytest.mark.parametrize("architecture", ["tangent", "linear"])
def test_a_trained_encoder_is_saved_loaded_and_decodes(host, labelled, architecture):
    graph = save(training(labelled, architecture=architecture), "accuracy", ("train", 2))
    graph["keep"] = node("SDEEG_SaveEncoder", encoder=["train", 0], filename=f"kept-{architecture}")
    entry = succeeded(host.run(graph))
    assert saved(host, "accuracy")["value"].item() > 0.8
    [report] = entry["outputs"]["report"]["text"]
    assert "from the graph" in report
    assert entry["outputs"]["keep"]["text"] == [f"saved kept-{architecture}.safetensors"]

    choice = {"choose.index": "", "choose.average": "repeats of a label"}
    again = encode(eeg_graph(labelled, f"kept-{architecture}.safetensors", **choice))
    again["said"] = node("PreviewAny", source=["encode", 5])
    [said] = succeeded(host.run(again))["outputs"]["said"]["text"]
    assert "a portrait photo" in said
    assert "a photo of a house" in said


def test_saving_never_overwrites(host, labelled):
    graph = training(labelled)
    graph["keep"] = node("SDEEG_SaveEncoder", encoder=["train", 0], filename="twice")
    for number, name in enumerate(("twice", "twice-2")):
        graph["train"]["inputs"]["name"] = f"number {number}"
        assert succeeded(host.run(graph))["outputs"]["keep"]["text"] == [f"saved {name}.safetensors"]
    folder = host.base / "models" / "eeg_encoders"
    assert [load_encoder(folder / f"{name}.safetensors").card["name"] for name in ("twice", "twice-2")] == [
        "number 0",
        "number 1",
    ]


@pytest.mark.parametrize("filename", ["../escaped", "a/b", "", "..", "x" * 300])
def test_an_encoder_is_saved_in_its_own_folder_only(host, labelled, filename):
    graph = training(labelled)
    graph["keep"] = node("SDEEG_SaveEncoder", encoder=["train", 0], filename=filename)
    assert "no file name" in failure(host.run(graph))


def test_text_states_of_the_checkpoint_are_learned(host, labelled):
    graph = training(labelled, targets="prompts and text states", clip=["world", 1])
    graph["train"]["inputs"]["captions"] = "face = a large red star at the top\nhouse = a small blue ring on the left"
    graph["world"] = node("SDEEG_LoadPhantomWorld")
    graph["keep"] = node("SDEEG_SaveEncoder", encoder=["train", 0], filename="states")
    succeeded(host.run(graph))
    spaces = load_encoder(host.base / "models" / "eeg_encoders" / "states.safetensors").spaces
    assert set(spaces) == {"prompts", "sd1.text"}


def test_labels_that_are_not_there_are_listed(host, labelled):
    said = failure(host.run(training(labelled, captions="cat = a cat\ndog = a dog")))
    assert "'face'" in said
    assert "cat" in said


def running(host: Host, prompt_id: str) -> bool:
    return any(item[1] == prompt_id for item in host.get("/queue")["queue_running"])


def test_cancel_ends_a_training(host):
    save_recording(labelled_recording(4000), host.base / "input" / "long.safetensors")
    succeeded(host.run({"recording": node("SDEEG_LoadRecording", file="long.safetensors"),
                        "seen": node("PreviewAny", source=["recording", 1])}))  # fmt: skip
    queued = host.queue(training("long.safetensors"))
    while not running(host, queued):
        time.sleep(0.02)
    time.sleep(0.5)
    host.post("/interrupt", {})
    entry = host.wait(queued)
    [stopped] = [body for kind, body in entry["status"]["messages"] if kind == "execution_interrupted"]
    assert stopped["node_type"] == "SDEEG_TrainEncoder"
    assert "report" not in entry["outputs"]
    succeeded(host.run(save(encode(eeg_graph()), "after", ("encode", 4))))
