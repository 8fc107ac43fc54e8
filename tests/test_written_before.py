"""Files written before the code moved into rooms go on: encoders, stores, runs, backbones, recordings, graphs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.loading.load import load_recording
from core.model.checkpoint import load_encoder
from core.model.prediction import predict
from trainer.config.flags import flag_values, with_flags
from trainer.evaluate import EvaluateOptions, evaluate
from trainer.store.store import open_store
from trainer.train import train
from trainer.training.run_folder import load_options

BEFORE = Path(__file__).resolve().parent / "written_before"
EXPECTED = json.loads((BEFORE / "expected.json").read_text(encoding="utf-8"))
RUNS = ("run-nice", "run-linear")


@pytest.fixture
def before(tmp_path, monkeypatch) -> Path:
    """A copy that may be written to, with the working folder in it: the runs name their store by a relative path."""
    shutil.copytree(BEFORE, tmp_path / "before")
    monkeypatch.chdir(tmp_path / "before")
    return tmp_path / "before"


@pytest.mark.parametrize("run", RUNS)
def test_an_encoder_says_what_it_said(run):
    encoder = load_encoder(BEFORE / run / "encoder.safetensors")
    eeg = np.asarray(open_store(BEFORE / "store").trials().eeg[:6])
    for space, outputs in predict(encoder, eeg).items():
        np.testing.assert_allclose(outputs.numpy(), EXPECTED[run][space], atol=2e-5)


def test_a_trial_store_opens_with_all_its_trials():
    trials = open_store(BEFORE / "store").trials()
    assert len(trials) == EXPECTED["trials"]
    assert set(trials.split.tolist()) == {"train", "val", "test"}


@pytest.mark.parametrize("run", [*RUNS, "run-masked"])
def test_the_options_of_a_run_are_read_as_they_were_typed(run):
    written = json.loads((BEFORE / run / "options.json").read_text(encoding="utf-8"))
    read = json.loads(json.dumps(flag_values(load_options(BEFORE / run)), default=str))
    assert {name: read.get(name) for name in written} == written


def test_a_run_is_evaluated(before):
    report = evaluate(EvaluateOptions(Path("run-nice")))
    assert (before / "run-nice" / "report.html").is_file()
    assert report is not None


def test_a_run_that_was_done_is_resumed_to_the_same_weights(before):
    train(with_flags(load_options(Path("run-nice")), resume=True))
    eeg = np.asarray(open_store(Path("store")).trials().eeg[:6])
    outputs = predict(load_encoder(before / "run-nice" / "encoder.safetensors"), eeg)["prompts"]
    np.testing.assert_allclose(outputs.numpy(), EXPECTED["run-nice"]["prompts"], atol=2e-5)


def test_a_backbone_starts_a_new_run(before):
    masked = load_options(Path("run-masked"))
    wanted = {"pretrained": Path("run-masked/backbone.safetensors"), "out": Path("new"), "masked": 0, "epochs": 1}
    train(with_flags(masked, **wanted, space=("prompts",), patience=0, val_share=0.0))
    assert load_encoder(before / "new" / "encoder.safetensors").spaces == ("prompts",)


def test_a_recording_of_our_own_form_is_the_same():
    recording = load_recording(BEFORE / "recording.safetensors")
    assert recording.data[:, 0].tolist() == EXPECTED["recording"]["first"]
    assert [[e.onset, e.duration, e.label] for e in recording.events] == EXPECTED["recording"]["events"]
    assert recording.segments == (0, 400)


def test_a_graph_names_nodes_that_there_are_with_the_inputs_they_had(schemas):
    graph = json.loads((BEFORE / "workflow.json").read_text(encoding="utf-8"))
    ours = [node for node in graph["nodes"] if node["type"].startswith("SDEEG_")]
    assert ours
    for node in ours:
        known = {one.id for one in schemas[node["type"]].inputs}
        assert {one["name"] for one in node.get("inputs", [])} <= known, node["type"]
