"""Files of older versions gain evidence and calibration; what their networks answer stays bit for bit."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.conditioning.for_host import answer
from core.model.checkpoint import HEADER_KEY, load_encoder, read_header
from core.model.prediction import predict
from core.preprocessing.selection import select_events
from tests.people_store import load, people_store
from trainer.config.flags import with_flags
from trainer.config.presets import preset_named
from trainer.console import run as run_command
from trainer.recalibrate import RecalibrateOptions, remade
from trainer.store.store import open_store
from trainer.train import train

RESPONSE_UV = 8.0  # as large as real ones, so that no leak check finds it implausible


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run and its store."""
    folder = tmp_path_factory.mktemp("run of an older version")
    store = people_store(folder / "store", people=1, days=1, runs=4, response_uv=RESPONSE_UV).folder
    train(with_flags(preset_named("n170"), data=store, out=folder / "run"))
    return folder


@pytest.fixture
def old(trained, tmp_path) -> Path:
    """The encoder file as an older version would have written it."""
    path = tmp_path / "old ü.safetensors"
    fresh = trained / "run" / "encoder.safetensors"
    header = read_header(fresh)
    del header["evidence"]
    header["format_version"] = 1
    header["confidence"] = {}
    kept = {name: tensor for name, tensor in load_file(fresh).items() if not name.startswith("evidence.")}
    save_file(kept, path, metadata={HEADER_KEY: json.dumps(header)})
    return path


def weights(path: Path) -> dict[str, torch.Tensor]:
    return {name: t for name, t in load_file(path).items() if not name.startswith("evidence.")}


def leaks_of(path: Path) -> tuple[str, ...]:
    evidence = load_encoder(path).evidence
    assert evidence is not None
    return evidence.leaks


def test_an_old_file_gains_evidence_and_its_answers_stay_bit_for_bit(trained, old, tmp_path):
    before, eeg = load_encoder(old), np.asarray(open_store(trained / "store").trials().eeg[:20])
    assert before.evidence is None
    said = remade(RecalibrateOptions(old, run=trained / "run", out=tmp_path / "new.safetensors"))
    after = load_encoder(tmp_path / "new.safetensors")
    assert "windows that training left out" in said
    assert after.evidence is not None
    assert after.evidence.locked
    assert after.evidence.labels == ("a", "b")
    assert max(after.evidence.guess_p.values()) <= 0.05
    for space, outputs in predict(before, eeg).items():
        assert torch.equal(predict(after, eeg)[space], outputs)
    old_weights, new_weights = weights(old), weights(tmp_path / "new.safetensors")
    assert old_weights.keys() == new_weights.keys()
    changed = [name for name, tensor in old_weights.items() if not torch.equal(tensor, new_weights[name])]
    assert not [name for name in changed if "temperature" not in name]
    assert load_encoder(old).evidence is None  # what was given is not written to where another file is named


def test_what_it_says_then_is_what_a_fresh_encoder_says(trained, old):
    remade(RecalibrateOptions(old, run=trained / "run"))
    again, fresh = load_encoder(old), load_encoder(trained / "run" / "encoder.safetensors")
    assert again.evidence is not None
    assert fresh.evidence is not None
    recording = load(0, 0, 7, RESPONSE_UV, 0, 1.0)[0]
    first, second = (answer(encoder, select_events(recording)) for encoder in (fresh, again))
    assert second.confidence == pytest.approx(first.confidence, abs=0.01)  # its folds choose their ridges anew
    assert second.confidence > 0.5
    assert again.evidence.leaks == fresh.evidence.leaks == ()
    kept, expected = again.evidence.to_arrays(), fresh.evidence.to_arrays()
    for name in expected.keys() - {"scores"}:  # which come from these folds
        np.testing.assert_allclose(kept[name], expected[name], atol=1e-4, err_msg=name)


def test_leak_checks_that_fail_are_kept_as_training_keeps_them(tmp_path):
    store = people_store(tmp_path / "store", people=1, days=1, runs=3, response_uv=60.0).folder
    train(with_flags(preset_named("n170"), data=store, out=tmp_path / "run"))
    path = tmp_path / "run" / "encoder.safetensors"
    leaks = leaks_of(path)
    assert leaks
    said = remade(RecalibrateOptions(path, run=tmp_path / "run"))
    assert leaks_of(path) == leaks
    assert "LEAK CHECKS FAILED IN TRAINING" in said


def test_another_store_is_refused_in_one_sentence_and_the_file_stays(trained, old, tmp_path, capsys):
    other = people_store(tmp_path / "another", people=1, days=1, runs=3, seed=50).folder
    written = old.read_bytes()
    with pytest.raises(SystemExit) as ended:
        run_command(lambda: print(remade(RecalibrateOptions(old, run=trained / "run", data=other))))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "is not what" in said
    assert "was trained on: its split is another one" in said
    assert old.read_bytes() == written


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encoder": Path("nowhere.safetensors")}, r"nowhere\.safetensors"),
        ({"run": Path("no run")}, "no run"),
        ({"data": Path("no store")}, "no store"),
        ({"run": None, "preset": "n17"}, "n17.*n170"),
    ],
)
def test_what_is_not_there_is_named(trained, old, changes, said):
    given = {"encoder": old, "run": trained / "run", **changes}
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        remade(RecalibrateOptions(**given))


def test_a_file_that_is_no_encoder_is_named(trained, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match=r"other\.safetensors"):
        remade(RecalibrateOptions(path, run=trained / "run"))


def test_gradient_descent_without_a_validation_split_is_refused(trained, tmp_path):
    shutil.copytree(trained / "run", tmp_path / "run")
    path = Path("tests") / "written_before" / "run-nice" / "encoder.safetensors"
    with pytest.raises(ValueError, match="its split is another one"):
        remade(RecalibrateOptions(path, run=tmp_path / "run"))
