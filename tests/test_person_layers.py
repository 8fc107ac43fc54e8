"""Layers a person: trained with any encoder, kept with the people's names, used for the trial's own person."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.encoders.registry import by_gradient_descent
from core.model.checkpoint import load_encoder, read_header, save_encoder
from core.model.person_layers import PersonLayers
from core.model.prediction import predict
from core.preprocessing.trials import build_trials
from tests.people_store import people_store
from tests.small_trials import CONFIG, class_trials
from tests.test_checkpoint import rewrite_header
from trainer.config.options import train_options
from trainer.evaluate import EvaluateOptions, evaluate
from trainer.train import train
from trainer.training.build import build_for
from trainer.training.finetuned import with_file_heads
from trainer.training.fit import fit_encoder
from trainer.training.splits import split_trials

SMALL = {
    "encoder": "eegproject", "set": ("width=24", "dropout=0"), "space": ("prompts",), "batch": 16, "average": "none",
    "person_layers": True,
}  # fmt: skip


def mirrored_people():
    """Two people in whom two labels evoke each other's response, one the other's opposite: +p and -p, -p and +p."""
    trials = class_trials(n_classes=2, pictures=12, repeats=4, strength=0.0)
    bob = np.arange(len(trials)) % 2 == 1
    response = np.random.default_rng(1).standard_normal(trials.eeg.shape[1:])
    sign = np.where(bob == (trials.label == 1), 1, -1)[:, None, None]
    eeg = (np.asarray(trials.eeg) + 1e-5 * sign * response).astype(np.float32)
    return replace(trials, eeg=eeg, subject=np.where(bob, "bob", "ann"))


def test_in_the_beginning_they_change_nothing_and_an_unknown_person_has_their_mean():
    layers, eeg = PersonLayers(3, 10), torch.randn(5, 4, 10)
    numbers = torch.tensor([0, 2, 1, -1, 2])
    assert torch.equal(layers(eeg, numbers), eeg)
    with torch.no_grad():
        layers.change.normal_()
        layers.bias.normal_()
    found = layers(eeg, numbers)
    of_two = torch.nn.Linear(10, 10)
    of_two.load_state_dict({"weight": torch.eye(10) + layers.change[2], "bias": layers.bias[2]})
    torch.testing.assert_close(found[[1, 4]], of_two(eeg[[1, 4]]), rtol=1e-4, atol=1e-5)
    mean = torch.stack([layers(eeg[3:4], torch.tensor([number])) for number in range(3)]).mean(0)
    torch.testing.assert_close(found[3:4], mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layers(eeg)[3:4], mean, rtol=1e-4, atol=1e-5)
    assert sum(parameter.numel() for parameter in PersonLayers(1, 250).parameters()) == 62_750
    with pytest.raises(ValueError, match="subject 3 is beyond the 3 people"):
        layers(eeg, torch.tensor([0, 1, 2, 3, 0]))


def test_people_of_opposite_responses_are_told_apart_by_their_layers_alone(tmp_path):
    trials = mirrored_people()
    right = {}
    for person_layers in (True, False):
        options = train_options(
            **{**SMALL, "person_layers": person_layers, "epochs": 30, "lr": 3e-3, "set": ("width=8",)}
        )
        out = tmp_path / str(person_layers)
        parts = split_trials(trials, options)
        encoder = fit_encoder(trials, parts, CONFIG, {}, options, out)
        test = trials.select(parts["test"])
        said = predict(encoder, test.eeg, people=test.subject)["prompts"].argmax(1).numpy()
        right[person_layers] = float((said == test.label).mean())
        assert encoder.people == (("ann", "bob") if person_layers else ())
    assert right[True] >= 0.9
    assert right[False] < 0.75


@pytest.fixture
def saved(tmp_path):
    trials = mirrored_people()
    torch.manual_seed(0)
    encoder = build_for(trials, np.arange(len(trials)), CONFIG, train_options(**SMALL), {}).eval()
    with torch.no_grad():
        encoder.personal.change.normal_(std=0.3)
    save_encoder(encoder, tmp_path / "file.safetensors")
    return encoder, tmp_path / "file.safetensors", trials


def test_the_file_keeps_names_and_layers(saved):
    encoder, path, trials = saved
    assert read_header(path)["people"] == ["ann", "bob"]
    assert read_header(path)["format_version"] == 3
    loaded, names = load_encoder(path), ["bob", "carl", "ann", ""]
    eeg = np.asarray(trials.eeg[:4])
    assert torch.equal(predict(loaded, eeg, people=names)["prompts"], predict(encoder, eeg, people=names)["prompts"])
    assert torch.equal(predict(loaded, eeg, people=["carl"] * 4)["prompts"], predict(loaded, eeg)["prompts"])
    assert not torch.equal(predict(loaded, eeg, people=["ann"] * 4)["prompts"], predict(loaded, eeg)["prompts"])
    assert loaded.numbers_of(names).tolist() == [1, -1, 0, -1]
    assert "tells apart: ann, bob; for someone else it has the mean of their layers" in loaded.card_text()
    by_batch = predict(loaded, np.asarray(trials.eeg[:9]), batch=4, people=trials.subject[:9])["prompts"]
    torch.testing.assert_close(
        by_batch, predict(loaded, np.asarray(trials.eeg[:9]), people=trials.subject[:9])["prompts"]
    )


def test_files_that_tell_no_people_apart_stay_as_older_versions_read_them(tmp_path):
    trials = mirrored_people()
    options = train_options(**{**SMALL, "person_layers": False})
    encoder = build_for(trials, np.arange(len(trials)), CONFIG, options, {})
    save_encoder(encoder.eval(), tmp_path / "file.safetensors")
    header = read_header(tmp_path / "file.safetensors")
    assert header["format_version"] == 2
    assert not {"people", "person_layers"} & set(header)
    assert encoder.numbers_of(["ann"]) is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"people": ["ann"]}, "change"),
        ({"people": ["ann", "ann"]}, "different people"),
        ({"people": []}, "need one at least"),
        ({"people": "ann"}, "not a list of names"),
        ({"people": [str(n) for n in range(200_000)]}, "at most 100000 different people"),
        ({"people": [str(n) for n in range(90_000)]}, "change|weights"),
        ({"person_layers": 1}, "neither true nor false"),
    ],
)
def test_a_file_whose_people_do_not_fit_its_layers_is_refused(saved, changed, told):
    rewrite_header(saved[1], lambda header: header.update(changed))
    with pytest.raises(ValueError, match=told):
        load_encoder(saved[1])


def test_what_cannot_be_is_said(tmp_path):
    trials = mirrored_people()
    rows = np.arange(len(trials))
    with pytest.raises(
        ValueError, match=f"'linear' is fitted in closed form; use --encoder {by_gradient_descent()[0]}"
    ):
        build_for(trials, rows, CONFIG, train_options(**{**SMALL, "encoder": "linear", "set": ()}), {})
    linear = build_for(trials, rows, CONFIG, train_options(encoder="linear", space=("prompts",)), {})
    save_encoder(linear.eval(), tmp_path / "linear.safetensors")
    options = with_file_heads(train_options(person_layers=True, finetune=tmp_path / "linear.safetensors"))
    with pytest.raises(ValueError, match="'linear' is fitted in closed form"):
        build_for(trials, rows, CONFIG, options, {})
    nobody = replace(trials, subject=np.full(len(trials), ""))
    with pytest.raises(ValueError, match="--person-layers need who each trial is from"):
        build_for(nobody, rows, CONFIG, train_options(**SMALL), {})


def test_a_new_person_gets_a_layer_that_begins_as_the_mean_of_the_others(saved, capsys):
    before, path, trials = saved
    both = replace(trials, subject=np.where(np.arange(len(trials)) % 2, "carl", "bob"))
    options = train_options(**{**SMALL, "finetune": path, "freeze": "backbone"})
    encoder = build_for(both, np.arange(len(both)), CONFIG, options, {})
    assert encoder.people == ("ann", "bob", "carl")
    assert torch.equal(encoder.personal.change[:2], before.personal.change)
    torch.testing.assert_close(encoder.personal.change[2], before.personal.change.mean(0))
    assert encoder.personal.change.requires_grad
    assert "layers for new people: carl" in capsys.readouterr().out


def test_a_frozen_backbone_leaves_a_new_persons_layer_to_be_trained(saved, tmp_path):
    before, path, trials = saved
    carl = replace(trials, subject=np.full(len(trials), "carl"))
    options = train_options(**{**SMALL, "finetune": path, "freeze": "backbone", "epochs": 1})
    encoder = fit_encoder(carl, split_trials(carl, options), CONFIG, {}, options, tmp_path / "run")
    assert torch.equal(encoder.backbone.project.enter.weight, before.backbone.project.enter.weight)
    assert torch.equal(encoder.personal.change[:2], before.personal.change)
    assert not torch.equal(encoder.personal.change[2], before.personal.change.mean(0))


def test_layers_can_be_added_to_an_encoder_that_had_none(tmp_path):
    trials = mirrored_people()
    plain = build_for(trials, np.arange(len(trials)), CONFIG, train_options(**{**SMALL, "person_layers": False}), {})
    save_encoder(plain.eval(), tmp_path / "file.safetensors")
    options = train_options(**{**SMALL, "finetune": tmp_path / "file.safetensors"})
    encoder = build_for(trials, np.arange(len(trials)), CONFIG, options, {}).eval()
    assert encoder.people == ("ann", "bob")
    eeg = np.asarray(trials.eeg[:5])
    torch.testing.assert_close(predict(encoder, eeg, people=trials.subject[:5]), predict(plain, eeg))


def test_a_table_of_people_keeps_those_of_its_file(tmp_path):
    trials = mirrored_people()
    made = {**SMALL, "encoder": "atm-s", "set": ("width=16", "kernel=5", "pool=5", "n_filters=4")}
    encoder = build_for(trials, np.arange(len(trials)), CONFIG, train_options(**made), {})
    assert encoder.people == ("ann", "bob")
    assert encoder.backbone.people.shape == (3, 16)
    save_encoder(encoder.eval(), tmp_path / "file.safetensors")
    carl = replace(trials, subject=np.full(len(trials), "carl"))
    options = train_options(**{**made, "finetune": tmp_path / "file.safetensors"})
    assert build_for(carl, np.arange(len(carl)), CONFIG, options, {}).people == ("ann", "bob")


def test_a_spectrograms_encoder_has_them_on_the_signal(tmp_path):
    trials = mirrored_people()
    made = {
        **SMALL, "encoder": "coatnet", "spectrogram": "stft", "epochs": 1,
        "set": ("stages=CT", "depths=1,1", "widths=4,6", "n_heads=2", "head_width=4"),
    }  # fmt: skip
    options = train_options(**made)
    encoder = fit_encoder(trials, split_trials(trials, options), CONFIG, {}, options, tmp_path)
    assert encoder.personal.change.abs().sum() > 0


def test_training_and_evaluation_use_each_trials_own_layer(tmp_path):
    people_store(tmp_path / "store", people=2, days=1)
    options = {**SMALL, "data": tmp_path / "store", "out": tmp_path / "run", "epochs": 2, "contrastive": 1}
    train(train_options(**options))
    encoder = load_encoder(tmp_path / "run" / "encoder.safetensors")
    assert encoder.people == ("p0", "p1")
    seen = []
    forward = PersonLayers.forward

    def watched(self, eeg, subject=None):
        seen.append(None if subject is None else sorted(set(subject.tolist())))
        return forward(self, eeg, subject)

    PersonLayers.forward = watched
    try:
        evaluate(EvaluateOptions(tmp_path / "run", pictures=False))
    finally:
        PersonLayers.forward = forward
    assert [0, 1] in seen
    assert json.loads((tmp_path / "run" / "report.json").read_text())


def test_a_run_that_was_broken_off_goes_on_to_the_same_weights(tmp_path):
    trials = mirrored_people()
    options = train_options(**{**SMALL, "epochs": 3, "patience": 0})
    parts = split_trials(trials, options)
    whole = fit_encoder(trials, parts, CONFIG, {}, options, tmp_path / "whole")

    def broken_off(epoch, encoder):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_encoder(trials, parts, CONFIG, {}, options, tmp_path / "run", broken_off)
    again = replace(options, outputs=replace(options.outputs, resume=True))
    run = fit_encoder(trials, parts, CONFIG, {}, again, tmp_path / "run")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, run.state_dict()[name]), name


def test_trials_of_one_person_are_that_persons(tmp_path):
    rows = [{"label": "ab"[n % 2], "image_id": str(n), "subject": "zoe", "run": "1", "onset": n} for n in range(20)]
    trials = build_trials(np.random.default_rng(0).standard_normal((20, 4, CONFIG.n_times)).astype(np.float32), rows)
    encoder = build_for(trials, np.arange(20), CONFIG, train_options(**SMALL), {}).eval()
    with torch.no_grad():
        encoder.personal.change.normal_(std=0.1)
    eeg = np.asarray(trials.eeg)
    torch.testing.assert_close(predict(encoder, eeg), predict(encoder, eeg, people=trials.subject))
