import json

import numpy as np
import pytest
import torch

from core.model.heads import HeadConfig
from core.model.picture_generator import ProjectionDiscriminator
from core.model.prediction import tokens_of
from trainer.config.flags import with_flags
from trainer.config.options import train_options
from trainer.datasets import DATASETS
from trainer.datasets.phantom import PhantomOptions
from trainer.store.store import write_store
from trainer.targets.target import trial_targets
from trainer.training import gan
from trainer.training.build import build_for
from trainer.training.gan import discriminator_loss, follow, gan_step, mode_seeking, train_gan
from trainer.training.splits import split_trials

SMALL = PhantomOptions(train_scenes=24, val_scenes=8, test_scenes=2, train_repeats=2, val_repeats=2, test_repeats=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    phantom = DATASETS["phantom"]
    return write_store(
        tmp_path_factory.mktemp("store") / "phantom",
        phantom.sessions(None, SMALL),
        phantom.preprocessing(None, SMALL),
        provenance=phantom.provenance(None, SMALL),
        progress=False,
    )


@pytest.fixture
def options(store, tmp_path):
    return train_options(data=store.folder, out=tmp_path, set=("kernel=9", "pool=9", "n_filters=4"),
                        space=("prompts", "saliency"), average="random", batch=12, epochs=1, gan_epochs=2)  # fmt: skip


def ready(store, options):
    trials = store.trials()
    parts = split_trials(trials, options)
    targets = trial_targets(trials, options.targets, store.folder / "targets")
    return build_for(trials, parts["train"], store.config, options, targets), trials, parts, targets


def run(store, options, out, after_epoch=None):
    encoder, trials, parts, targets = ready(store, options)
    out.mkdir(exist_ok=True)
    return encoder, train_gan(encoder, trials, parts, targets, options, out)


def test_the_discriminators_loss_is_the_hinge():
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 1.0])
    assert discriminator_loss(real, fake).item() == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1 + 2) / 3)


def test_mode_seeking_is_the_papers_negative_ratio_or_its_reciprocal():
    first, second = torch.full((2, 3, 4, 4), 0.5), torch.full((2, 3, 4, 4), 0.7)
    noise, other = torch.zeros(2, 8), torch.full((2, 8), 0.5)
    assert mode_seeking(first, second, noise, other, "negative").item() == pytest.approx(-0.4)
    assert mode_seeking(first, second, noise, other, "reciprocal").item() == pytest.approx(2.5, rel=1e-3)
    assert mode_seeking(first, second, noise, other, "none").item() == 0
    with pytest.raises(ValueError, match="no mode seeking 'both'"):
        mode_seeking(first, second, noise, other, "both")


@pytest.mark.parametrize("form", ["negative", "reciprocal"])
def test_either_form_falls_as_pictures_of_different_noise_move_apart(form):
    first, noise, other = torch.full((2, 3, 4, 4), 0.5), torch.zeros(2, 8), torch.ones(2, 8)
    near = mode_seeking(first, first + 0.01, noise, other, form)
    assert mode_seeking(first, first + 0.2, noise, other, form) < near


def test_one_step_augments_real_and_fake_and_moves_both_networks(store, options, monkeypatch):
    encoder, *_ = ready(store, options)
    head, seen = encoder.head("saliency"), []
    original = gan.diff_augment
    monkeypatch.setattr(gan, "diff_augment", lambda pictures: seen.append(pictures.requires_grad) or original(pictures))
    judge = ProjectionDiscriminator(encoder.backbone.width, 64)
    optimisers = {"generator": torch.optim.SGD(head.parameters(), lr=0.1),
                  "discriminator": torch.optim.SGD(judge.parameters(), lr=0.1)}  # fmt: skip
    before = [[p.clone() for p in module.parameters()] for module in (head, judge)]
    losses = gan_step(
        head, judge, optimisers, torch.randn(4, 1, encoder.backbone.width), torch.rand(4, 3, 64, 64), options
    )
    assert seen == [False, False, True, True]  # real, the detached fake, and the two that the generator is judged by
    for module, old in zip((head, judge), before, strict=True):
        assert any(not torch.equal(p, q) for p, q in zip(module.parameters(), old, strict=True))
    assert losses["g_loss"] == pytest.approx(
        sum(
            a * losses[n]
            for a, n in zip(options.training.alphas, ("g_adversarial", "g_mode_seeking", "g_ssim"), strict=True)
        ),
        rel=1e-4,
    )


def test_the_generator_learns_to_draw_what_the_features_say():
    torch.manual_seed(0)
    from core.model.heads import Head

    head = Head(HeadConfig("saliency", "generator", shape=(3, 64, 64), channels=4), 1, 4)
    pictures = torch.full((2, 3, 64, 64), 0.5)
    pictures[0, :, :32], pictures[1, :, 32:] = 0.9, 0.9
    head.set_target(pictures.flatten(1))
    tokens = torch.randn(2, 1, 4).repeat(8, 1, 1)
    real = pictures.repeat(8, 1, 1, 1)
    judge = ProjectionDiscriminator(4, 64, channels=4)
    optimisers = {"generator": torch.optim.Adam(head.parameters(), lr=5e-3, betas=(0.0, 0.9)),
                  "discriminator": torch.optim.Adam(judge.parameters(), lr=1e-3, betas=(0.0, 0.9))}  # fmt: skip
    options = train_options(space=("saliency",))
    for _ in range(40):
        gan_step(head, judge, optimisers, tokens, real, options)
    head.eval()
    own, swapped = (gan.mean_ssim(head, tokens, r.flatten(1)) for r in (real, real.roll(1, 0)))
    assert own > swapped + 0.2


def test_backbone_and_other_heads_stay_as_they_are(store, options, tmp_path):
    before = {name: t.clone() for name, t in ready(store, options)[0].state_dict().items()}
    encoder, _ = run(store, options, tmp_path / "run")
    changed = {name for name, t in encoder.state_dict().items() if not torch.equal(t, before[name])}
    assert changed
    assert all(name.startswith("heads.1.") for name in changed)


def test_the_stage_follows_from_the_seed(store, options, tmp_path):
    (one, first), (two, _) = (run(store, options, tmp_path / name) for name in ("one", "two"))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    other = run(store, with_flags(options, seed=1), tmp_path / "three")[1]
    assert first.history != other.history


def test_a_resumed_stage_equals_an_unbroken_one(store, options, tmp_path):
    whole, _ = run(store, options, tmp_path / "whole")
    run(store, with_flags(options, gan_epochs=1), tmp_path / "part")
    resumed, progress = run(store, with_flags(options, resume=True), tmp_path / "part")
    assert [row["epoch"] for row in progress.history] == [0, 1]
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_its_history_follows_that_of_the_stages_before(store, options, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "metrics.jsonl").write_text('{"epoch": 0, "train_loss": 1.0}\n')
    run(store, options, out)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(row.get("stage"), row["epoch"]) for row in rows] == [(None, 0), ("gan", 0), ("gan", 1)]
    assert {"d_loss", "g_loss", "g_ssim", "val_ssim", "val_ssim_before"} <= set(rows[1])


def test_the_kept_weights_are_the_moving_average_of_the_best_validation_epoch(store, options, tmp_path):
    encoder, progress = run(store, with_flags(options, gan_epochs=3), tmp_path / "run")
    assert progress.best == 1 - max(row["val_ssim"] for row in progress.history)
    for name, kept in progress.best_weights.items():
        if name != "generator.inference_noise":
            assert torch.equal(kept, encoder.head("saliency").state_dict()[name]), name


def test_the_moving_average_follows_slowly():
    from core.model.heads import Head

    config = HeadConfig("saliency", "generator", shape=(3, 64, 64), channels=4)
    average, head = Head(config, 1, 4), Head(config, 1, 4)
    old, new = average.generator.start.weight.clone(), head.generator.start.weight.clone()
    follow(average, head, 10_000)
    torch.testing.assert_close(average.generator.start.weight.detach(), 0.99 * old.detach() + 0.01 * new.detach())


def test_without_a_saliency_head_there_is_nothing_to_train():
    with pytest.raises(ValueError, match="add saliency to --space"):
        train_options(gan_epochs=3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"picture_size": 96}, "64 or 128"), ({"alphas": (1.0, -1.0, 1.0)}, "alphas"), ({"mode_seeking": "x"}, "known"),
     ({"saliency_target": "edges"}, "known"), ({"latent_size": 100}, "multiple of 8"),
     ({"gan_epochs": -1}, "negative")],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        train_options(**changes)


def test_the_noise_in_use_is_the_one_that_does_better_on_validation(store, options, tmp_path):
    encoder, _ = run(store, options, tmp_path / "run")
    head = encoder.head("saliency")
    trials = store.trials()
    rows = split_trials(trials, options)["val"]
    tokens = tokens_of(encoder, trials.eeg[rows], 8)
    target = trial_targets(trials, options.targets, store.folder / "targets")["saliency"]
    seen = target.values[torch.from_numpy(target.rows(trials.select_columns(rows)))]
    gan.choose_noise(head, tokens, seen, 0)
    kept = gan.mean_ssim(head, tokens, seen)
    for noise in (torch.zeros(1, 32), torch.randn(8, 32, generator=torch.Generator().manual_seed(0))):
        head.fix_noise(noise)
        assert gan.mean_ssim(head, tokens, seen) <= kept + 1e-7
    assert np.isfinite(kept)


def test_what_is_kept_is_the_moving_average_and_not_the_last_weights(store, options, tmp_path):
    encoder, _ = run(store, with_flags(options, gan_epochs=1), tmp_path / "run")
    state = torch.load(tmp_path / "run" / "gan.pt", weights_only=True)["parts"]
    kept = encoder.head("saliency").state_dict()["generator.start.weight"]
    assert torch.equal(kept, state["average"]["generator.start.weight"])
    assert not torch.equal(kept, state["head"]["generator.start.weight"])


def test_the_stage_runs_inside_training_and_its_head_is_in_the_file(store, tmp_path):
    from core.model.checkpoint import load_encoder
    from trainer.train import train
    from trainer.training.run_folder import load_options

    options = train_options(data=store.folder, out=tmp_path / "run", set=("kernel=9", "pool=9", "n_filters=4"),
                           space=("saliency",), average="random", batch=12, epochs=1, gan_epochs=1,
                           alphas=(0.2, 0.1, 1.0), mode_seeking="reciprocal")  # fmt: skip
    encoder = load_encoder(train(options))
    assert encoder.head("saliency").config.kind == "generator"
    stages = [
        json.loads(line).get("stage") for line in (options.outputs.out / "metrics.jsonl").read_text().splitlines()
    ]
    assert stages == [None, "gan"]
    assert load_options(options.outputs.out).training.alphas == (0.2, 0.1, 1.0)
