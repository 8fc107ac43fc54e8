"""The contrastive stage: which triplets are mined, what the loss is, and that training makes classes separable."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.small_trials import CONFIG, FOUR_CLASSES, class_trials
from trainer.config.options import TrainOptions, train_options
from trainer.training import contrastive
from trainer.training.build import build_for
from trainer.training.contrastive import Triplets, train_contrastive
from trainer.training.probes import features
from trainer.training.splits import split_trials

SMALL = ("kernel=5", "pool=5", "stride=3", "n_filters=6", "dropout=0.1")


def options(**changes) -> TrainOptions:
    values = {"set": SMALL, "space": ("prompts",), "contrastive": 8, "batch": 16, "lr": 5e-3, "average": "random"}
    return train_options(**{**values, **changes})


def fitted(trials, chosen, out):
    parts = split_trials(trials, chosen)
    encoder = build_for(trials, parts["train"], CONFIG, chosen, {})
    return encoder, train_contrastive(encoder, trials, parts, chosen, out)


def batch(seed=0, n=24, width=3):
    torch.manual_seed(seed)
    return torch.randn(n, width), torch.arange(n) % 4


def squared(found, unit):
    found = torch.nn.functional.normalize(found) if unit else found
    return (found[:, None] - found).square().sum(-1)


@pytest.mark.parametrize("unit", [True, False])
def test_semi_hard_negatives_are_farther_than_the_positive_and_within_the_margin(unit):
    found, label = batch()
    margin = 0.1
    anchor, positive, negative = Triplets(margin, "semihard", unit).mine(found, label)
    between = squared(found, unit)
    near, far = between[anchor, positive], between[anchor, negative]
    assert (label[anchor] == label[positive]).all()
    assert (anchor != positive).all()
    assert (label[anchor] != label[negative]).all()
    semi_hard = (far > near) & (far < near + margin)
    is_nearest = far == between.masked_fill(label[:, None] == label, torch.inf).amin(1)[anchor]
    assert (semi_hard | is_nearest).all()
    assert semi_hard.any()
    assert (~semi_hard).any()


def test_every_positive_pair_has_all_its_semi_hard_negatives_or_else_the_nearest():
    found, label = batch(1)
    margin = 0.05
    between = squared(found, True)
    wanted = set()
    for a in range(len(label)):
        for p in range(len(label)):
            if a == p or label[a] != label[p]:
                continue
            others = [n for n in range(len(label)) if label[n] != label[a]]
            semi_hard = [n for n in others if between[a, p] < between[a, n] <= between[a, p] + margin]
            wanted |= {(a, p, n) for n in semi_hard or [min(others, key=lambda n, a=a: between[a, n])]}
    assert {tuple(row) for row in torch.stack(Triplets(margin, "semihard").mine(found, label), 1).tolist()} == wanted


def test_hardest_takes_the_nearest_negative_of_each_pair():
    found, label = batch(2)
    anchor, _, negative = Triplets(0.2, "hardest").mine(found, label)
    between = squared(found, True).masked_fill(label[:, None] == label, torch.inf)
    assert torch.equal(negative, between.argmin(1)[anchor])
    assert len(anchor) == 24 * 5


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("mining", ["semihard", "hardest"])
def test_the_loss_is_the_hinge_of_squared_distances(mining, unit):
    found, label = batch(3)
    triplets = Triplets(0.3, mining, unit)
    anchor, positive, negative = triplets.mine(found, label)
    between = squared(found, unit)
    expected = (0.3 + between[anchor, positive] - between[anchor, negative]).clamp_min(0).mean()
    torch.testing.assert_close(triplets(found, label), expected)


def test_a_batch_of_one_class_gives_no_triplet_and_no_loss():
    found = torch.randn(6, 3, requires_grad=True)
    loss = Triplets(0.2, "semihard")(found, torch.zeros(6, dtype=torch.long))
    assert loss.item() == 0


@pytest.mark.parametrize("mining", ["semihard", "hardest"])
def test_training_moves_classes_of_unseen_pictures_apart(mining, tmp_path):
    trials = class_trials(pictures=32, repeats=2, strength=0.2, held=6)
    chosen = options(mining=mining, contrastive=30, batch=32)
    parts = split_trials(trials, chosen)
    test = trials.select(parts["test"])

    def apart(encoder):
        between = squared(torch.from_numpy(features(encoder, test.eeg)), True).numpy()
        same = test.label[:, None] == test.label
        return between[~same].mean() / between[same & ~np.eye(len(same), dtype=bool)].mean()

    before = apart(build_for(trials, parts["train"], CONFIG, chosen, {}))
    assert apart(fitted(trials, chosen, tmp_path)[0]) > 1.12 * before


def test_the_published_lstm_learns_a_clear_signal(tmp_path):
    trials = class_trials(strength=0.5, pictures=16, held=3)
    chosen = options(encoder="lstm", set=("hidden=32", "width=16"), contrastive=15, batch=32)
    fresh = build_for(trials, split_trials(trials, chosen)["train"], CONFIG, chosen, {})
    encoder, progress = fitted(trials, chosen, tmp_path)
    assert progress.history[-1]["probe"] > 0.8
    assert not torch.equal(encoder.backbone.last.weight, fresh.backbone.last.weight)


def test_a_stage_interrupted_and_resumed_ends_with_the_unbroken_weights_bit_for_bit(tmp_path, monkeypatch):
    trials = class_trials()
    unbroken, _ = fitted(trials, options(), tmp_path / "unbroken")

    class KilledError(Exception):
        pass

    write = contrastive.write_history

    def kill(path, history, stage):
        write(path, history, stage)
        if len(history) == 6:
            raise KilledError

    monkeypatch.setattr(contrastive, "write_history", kill)
    with pytest.raises(KilledError):
        fitted(trials, options(), tmp_path / "killed")
    monkeypatch.undo()
    resumed, progress = fitted(trials, options(resume=True), tmp_path / "killed")
    assert [row["epoch"] for row in progress.history] == list(range(8))
    for name, tensor in unbroken.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    again, _ = fitted(trials, options(resume=True), tmp_path / "killed")
    assert torch.equal(again.backbone.mix.weight, resumed.backbone.mix.weight)


def test_the_weights_kept_are_those_of_the_best_validation_probe(tmp_path, monkeypatch):
    trials, chosen = class_trials(), options(contrastive=15)
    losses = iter([0.7, 0.2, 0.9])
    kept = []

    def scored(self, encoder, triplets, options):
        kept.append(encoder.backbone.mix.weight.clone())
        return {"probe_loss": next(losses), "val_loss": -1.0}

    monkeypatch.setattr(contrastive.Validation, "scores", scored)
    encoder, progress = fitted(trials, chosen, tmp_path)
    assert progress.best_epoch == 9
    assert torch.equal(encoder.backbone.mix.weight, kept[1])


def test_the_stage_never_reads_the_test_split_and_leaves_the_heads_alone(tmp_path):
    trials = class_trials()
    broken = replace(trials, eeg=np.where((trials.split == "test")[:, None, None], np.nan, trials.eeg))
    clean, _ = fitted(trials, options(), tmp_path / "a")
    other, _ = fitted(broken, options(), tmp_path / "b")
    fresh = build_for(trials, split_trials(trials, options())["train"], CONFIG, options(), {})
    for name, tensor in clean.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
        if name.startswith("heads."):
            assert torch.equal(tensor, fresh.state_dict()[name]), name
    assert not torch.equal(clean.backbone.mix.weight, fresh.backbone.mix.weight)


def test_repeats_of_one_picture_can_be_the_positives(tmp_path):
    trials, chosen = class_trials(repeats=4), options(contrast="image_id", average="all")
    encoder, progress = fitted(trials, chosen, tmp_path)
    assert {"val_loss", "probe"} <= progress.history[-1].keys()
    assert np.isfinite(features(encoder, trials.eeg)).all()


def test_probes_are_fitted_to_no_more_than_a_share_of_a_large_store(monkeypatch):
    trials, chosen = class_trials(pictures=12), options(average="all")
    monkeypatch.setattr(contrastive, "PROBE_TRIALS", 30)
    held_out = contrastive.Validation.of(trials, split_trials(trials, chosen), chosen)
    assert held_out.train.repeats.tolist() == [3] * 10
    assert len(held_out.train.labels) == 4


def test_without_validation_the_last_epoch_is_kept(tmp_path):
    trials = class_trials().select(class_trials().split != "val")
    _, progress = fitted(trials, options(val_share=0.0), tmp_path)
    assert progress.best_epoch == -1
    assert "probe" not in progress.history[-1]


def test_a_closed_form_encoder_is_refused(tmp_path):
    from trainer.training.fit import fit_encoder

    trials, chosen = class_trials(), options(encoder="linear", set=(), contrastive=1)
    with pytest.raises(ValueError, match="closed form; use --encoder nice"):
        fit_encoder(trials, split_trials(trials, chosen), CONFIG, {}, chosen, tmp_path)


def test_options_refuse_what_cannot_be():
    for changes, said in (
        ({"margin": 0.0}, "--margin must be above 0"),
        ({"mining": "easy"}, "--mining is 'easy'; known: semihard, hardest"),
        ({"contrast": "caption"}, "--contrast is 'caption'"),
        ({"contrastive": -1}, "must not be negative"),
        ({"contrastive": 0, "freeze": "backbone"}, "nothing trained to keep"),
    ):
        with pytest.raises(ValueError, match=said):
            options(**changes)


def test_both_stages_run_and_are_told_apart_in_the_metrics(tmp_path):
    from core.model.checkpoint import load_encoder
    from trainer.prepare import prepare
    from trainer.train import train

    prepare("phantom", None, tmp_path / "store", FOUR_CLASSES, progress=False)
    chosen = options(data=tmp_path / "store", out=tmp_path / "run", contrastive=5, epochs=2, freeze="backbone")
    encoder = load_encoder(train(chosen))
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(row.get("stage", ""), row["epoch"]) for row in rows] == [
        *(("contrastive", epoch) for epoch in range(5)),
        ("", 0),
        ("", 1),
    ]
    assert rows[0].keys() == {"stage", "epoch", "train_loss"}
    state = torch.load(tmp_path / "run" / "contrastive.pt", weights_only=True)
    kept = state["progress"]["best_weights"] or state["parts"]["backbone"]
    assert all(torch.equal(tensor, kept[name]) for name, tensor in encoder.backbone.state_dict().items())
    with pytest.raises(ValueError, match="already holds a run"):
        train(chosen)
