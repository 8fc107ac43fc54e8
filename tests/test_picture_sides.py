"""What is trained on the pictures' side: trained, chosen, kept, resumed and settled with the encoder."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.model.checkpoint import load_encoder
from tests.small_trials import CONFIG, class_trials
from trainer.config.flags import with_flags
from trainer.config.options import train_options
from trainer.targets.mixes.picture_side import FILE, load_sides, settled, sides_of, with_sides
from trainer.targets.target import Target
from trainer.training.build import build_for
from trainer.training.fit import fit_encoder
from trainer.training.loop import train_loop
from trainer.training.splits import split_trials

SPACE = "toy@2-4-6.image"


def material(mix, **more):
    trials = class_trials(pictures=8)
    names = np.unique(trials.image_id).tolist()
    draw = torch.Generator().manual_seed(0)
    target = Target(torch.randn(len(names), 3 * 8, generator=draw), tuple(names), (3, 8), "image_id")
    options = train_options(
        space=(SPACE,), mix=mix, head="linear", set=("kernel=5", "pool=5", "n_filters=2"), epochs=4, batch=8, lr=0.01,
        loss="infonce", similarity="brain-length:2.727:fixed", compare_width=4, average="all", **more,
    )  # fmt: skip
    return trials, {SPACE: target}, options


@pytest.mark.parametrize(("mix", "width"), [("layers", 4), ("blur", 8)])
def test_a_picture_side_is_trained_with_the_encoder_and_its_run_settles_the_targets(tmp_path, mix, width):
    trials, targets, options = material(mix)
    encoder = fit_encoder(trials, split_trials(trials, options), CONFIG, targets, options, tmp_path)
    head = encoder.head(SPACE)
    assert head.config.shape == (width,)
    made = load_sides(tmp_path, targets, options.targets)[SPACE]
    assert made.values.shape == (len(made.names), width)
    untrained = settled(with_sides(targets, options.targets, 1, options.training.seed))[SPACE]
    assert not torch.allclose(made.values, untrained.values)
    seen = [made.names.index(name) for name in head.config.concepts]
    torch.testing.assert_close(head.gallery, made.values[seen])
    assert targets[SPACE].side is None
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    (tmp_path / FILE).unlink()
    with pytest.raises(FileNotFoundError, match="evaluated with what it trained"):
        load_sides(tmp_path, targets, options.targets)


def test_a_resumed_training_ends_with_the_same_picture_side(tmp_path):
    trials, targets, options = material("layers", second_stage=2, second_lr=5e-3)
    parts = split_trials(trials, options)
    found = []
    for stops in ((4,), (1, 4), (2, 4), (3, 4)):
        for number, epochs in enumerate(stops):
            own = with_sides(targets, options.targets, 1, 0)
            encoder = build_for(trials, parts["train"], CONFIG, options, own)
            shorter = with_flags(options, resume=number > 0, schedule="constant", warmup=0.0, epochs=epochs)
            train_loop(encoder, trials, parts, own, shorter, tmp_path / "-".join(map(str, stops)))
        found.append((sides_of(own)[SPACE].state_dict(), encoder.state_dict()))
    for sides, weights in found[1:]:
        assert all(torch.equal(sides[name], found[0][0][name]) for name in sides)
        assert all(torch.equal(weights[name], found[0][1][name]) for name in weights)


def test_the_second_stage_leaves_the_shared_map_as_it_is(tmp_path):
    trials, targets, options = material("layers", second_stage=2, second_lr=5e-3, keep="last")
    parts, kept = split_trials(trials, options), []
    own = with_sides(targets, options.targets, 1, 0)
    encoder = build_for(trials, parts["train"], CONFIG, options, own)
    side = sides_of(own)[SPACE]
    train_loop(
        encoder, trials, parts, own, options, tmp_path,
        lambda epoch, _: kept.append((side.share.weight.clone(), side.first.weight.clone())),
    )  # fmt: skip
    share, first = zip(*kept, strict=True)
    assert not torch.equal(share[0], share[1])
    assert torch.equal(share[1], share[3])
    assert not torch.equal(first[2], first[3])


def test_each_training_picture_has_its_own_blur_and_validation_the_usual_one(tmp_path):
    trials, targets, options = material("")
    levels = tuple(torch.randn(len(targets[SPACE].names), 8) for _ in range(3))
    target = replace(targets[SPACE], values=levels[1], shape=(8,), levels=levels)
    options = with_flags(options, compare_width=0, epochs=6)
    encoder = fit_encoder(trials, split_trials(trials, options), CONFIG, {SPACE: target}, options, tmp_path)
    state = torch.load(tmp_path / "state.pt", weights_only=True)["parts"]["training"]
    value = state["objective.uncertain.toy@2-4-6_image.value"]
    trained = [name in set(trials.image_id[trials.split == "train"]) for name in encoder_names(target, trials)]
    assert (value[trained] != 1).all()
    assert (value[~torch.tensor(trained)] == 1).all()
    assert encoder.head(SPACE).config.shape == (8,)


def encoder_names(target, trials):
    """The names of the targets that training holds: those of what trains and validates, in their order."""
    return [name for name in target.names if name in set(trials.image_id[trials.split != "test"])]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"shape": (24,)}, "--mix layers mixes several --image-layer of an image space of retrieval"),
        ({"encoder": "linear"}, "--compare-width and --mix are learned by gradient descent"),
    ],
)
def test_what_cannot_be_mixed_says_why(tmp_path, more, told):
    trials, targets, options = material("layers")
    if "encoder" in more:
        options = with_flags(options, encoder="linear", set=())
    else:
        targets = {SPACE: replace(targets[SPACE], **more)}
    with pytest.raises(ValueError, match=told):
        fit_encoder(trials, split_trials(trials, options), CONFIG, targets, options, tmp_path)


def test_an_encoder_file_speaks_the_mixed_space_by_itself(tmp_path):
    from core.model.checkpoint import save_encoder

    trials, targets, options = material("blur")
    encoder = fit_encoder(trials, split_trials(trials, options), CONFIG, targets, options, tmp_path)
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    again = load_encoder(tmp_path / "encoder.safetensors")
    assert torch.equal(again.head(SPACE).gallery, encoder.head(SPACE).gallery)
