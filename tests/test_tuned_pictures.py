"""A small CLIP that is tuned with the brain's side: trained, resumed, kept as a card; the un-tuned space stays."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from core.phantom.scenes import draw, split_scenes
from tests.small_trials import CONFIG, class_trials
from trainer.config.flags import with_flags
from trainer.config.options import train_options
from trainer.config.presets import preset_named
from trainer.targets.features.pictures import pictures_of
from trainer.targets.image_encoders.affine import read_card
from trainer.targets.image_encoders.features_of import features_of
from trainer.targets.mixes.picture_side import load_sides, sides_of, with_sides
from trainer.targets.target import trial_targets
from trainer.training.build import build_for
from trainer.training.fit import fit_encoder
from trainer.training.loop import Training, parameter_groups, train_loop
from trainer.training.splits import split_trials

SPACE = "phantom-clip.image"


@pytest.fixture(autouse=True)
def _needs_peft():
    pytest.importorskip("peft", exc_type=ImportError)


@pytest.fixture
def material(tmp_path):
    trials = class_trials(pictures=8)
    folder = tmp_path / "pictures with spaces, ü"
    folder.mkdir()
    for name, scene in zip(np.unique(trials.image_id), split_scenes()["test"], strict=False):
        Image.fromarray(draw(scene)).save(folder / f"{name}.png")
    options = train_options(
        space=(SPACE,), mix="lora", lora_rank=2, head="linear", set=("kernel=5", "pool=5", "n_filters=2"), epochs=3,
        batch=8, lr=0.01, side_lr=0.02, loss="infonce", average="all", images=folder, schedule="constant", warmup=0.0,
    )  # fmt: skip
    return trials, trial_targets(trials, options.targets, tmp_path / "cache"), options


def test_a_clip_is_tuned_with_the_encoder_and_its_card_encodes_new_galleries(material, tmp_path):
    trials, targets, options = material
    assert targets[SPACE].values.shape == (len(targets[SPACE].names), 1)
    out = tmp_path / "run"
    out.mkdir()
    encoder = fit_encoder(trials, split_trials(trials, options), CONFIG, targets, options, out)
    head = encoder.head(SPACE)
    assert head.config.shape == (64,)
    made = load_sides(out, targets, options.targets)[SPACE]
    seen = [made.names.index(name) for name in head.config.concepts]
    torch.testing.assert_close(head.gallery, made.values[seen])

    card, _ = read_card(out / "phantom-clip-lora.safetensors")
    shown = [one for (one,) in pictures_of(options.targets.images, made.names)]
    rows, index = features_of(card, shown, cache=tmp_path / "cache")
    np.testing.assert_allclose(rows[index], made.values.numpy(), atol=2e-3)  # pixels were kept in half precision
    plain, index = features_of(replace(card, adapter=""), shown, cache=tmp_path / "cache")
    assert np.abs(plain[index] - made.values.numpy()).max() > 0.02


def test_only_the_low_rank_changes_are_trained_at_a_rate_of_their_own_and_kept(material, tmp_path):
    trials, targets, options = material
    own = with_sides(targets, options.targets, 1, 0)
    side = sides_of(own)[SPACE]
    assert side.state_dict().keys() == dict(side.named_parameters()).keys()
    assert all("lora_" in name for name in side.state_dict())
    encoder = build_for(trials, np.arange(len(trials)), CONFIG, options, own)
    from trainer.losses.objective import objective_of

    objective, _ = objective_of(options.training, encoder.spaces, {})
    groups = parameter_groups(Training(encoder, objective, {SPACE: side}), options)
    rates = {id(one): group["lr"] for group in groups for one in group["params"]}
    assert {rates[id(one)] for one in side.parameters()} == {0.02}
    assert {rates[id(one)] for one in encoder.parameters()} == {0.01}


def test_a_resumed_tuning_ends_as_an_unbroken_one(material, tmp_path):
    trials, targets, options = material
    parts, found = split_trials(trials, options), []
    for stops in ((3,), (1, 3)):
        for number, epochs in enumerate(stops):
            own = with_sides(targets, options.targets, 1, 0)
            encoder = build_for(trials, parts["train"], CONFIG, options, own)
            shorter = with_flags(options, resume=number > 0, epochs=epochs)
            train_loop(encoder, trials, parts, own, shorter, tmp_path / "-".join(map(str, stops)))
        found.append(sides_of(own)[SPACE].state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_cards_that_are_no_clip_as_it_is_are_refused(material, tmp_path):
    trials, _, options = material
    for space in ("phantom-clip@2.image", "dinov2-b14.image", "dreamsim-synclr-vitb16.image"):
        with pytest.raises(ValueError, match=r"--mix lora tunes a CLIP model as it is, and .* is another"):
            trial_targets(trials, with_flags(options, space=(space,)).targets, tmp_path / "cache")
    with pytest.raises(ValueError, match="--mix lora tunes the CLIP model of an image space of retrieval"):
        with_sides({}, options.targets, 1, 0)


def test_the_preset_tunes_a_small_clip_at_the_published_rates():
    options = preset_named("clip-b32-lora")
    assert (options.targets.mix, options.targets.lora_rank) == ("lora", 32)
    assert (options.training.lr, options.training.side_lr, options.training.weight_decay) == (5e-4, 5e-5, 0.05)
    assert (options.training.epochs, options.training.keep, options.training.batch) == (25, "last", 512)
