"""Heads that predict a single vector for a text space: in every token, or in the last one of the empty prompt's."""

import pytest
import torch
from torch.nn import functional as F

from core.conditioning.conditioning import condition
from core.model.checkpoint import load_encoder
from core.model.heads import ONE_TOKEN, Head, HeadConfig
from core.model.prediction import encode_ready
from tests.small_models import small_sd1
from trainer.config.flags import with_flags
from trainer.config.options import train_options
from trainer.datasets.phantom import PhantomOptions
from trainer.prepare import prepare
from trainer.store.store import open_store
from trainer.targets.frozen_targets import load_targets, within_reach
from trainer.targets.text_states import text_states
from trainer.train import train

SHAPE = (77, 768)
SMALL = PhantomOptions(
    train_scenes=40, val_scenes=12, test_scenes=10, train_repeats=2, val_repeats=2, test_repeats=2, snr=1.0
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return str(small_sd1(tmp_path_factory.mktemp("sd1")))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "phantom"
    prepare("phantom", None, folder, SMALL, progress=False)
    return folder


def new_head(kind, targets):
    head = Head(HeadConfig("sd1.text", kind), n_tokens=2, width=4)
    head.set_target(targets)
    return head


def reachable(kind, n=12):
    torch.manual_seed(0)
    return within_reach(torch.randn(n, 77 * 768), SHAPE, kind, torch.randn(77 * 768))


@pytest.mark.parametrize("kind", ONE_TOKEN)
def test_a_new_head_starts_at_the_train_mean_whatever_comes_in(kind):
    targets = reachable(kind)
    head = new_head(kind, targets)
    with torch.no_grad():
        head.last.weight.zero_()
        head.last.bias.zero_()
    torch.testing.assert_close(head(torch.randn(3, 2, 4)), targets.mean(0).expand(3, -1))
    assert head.last.out_features == 768


@pytest.mark.parametrize("kind", ONE_TOKEN)
def test_coordinates_hold_all_that_is_within_reach(kind):
    targets = reachable(kind)
    head = new_head(kind, targets)
    coordinates = head.coordinates(targets)
    assert coordinates.shape == (12, 768)
    torch.testing.assert_close(head.from_coordinates(coordinates), targets, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ONE_TOKEN)
def test_targets_within_reach_are_the_nearest_ones(kind):
    torch.manual_seed(1)
    states, empty = torch.randn(4, 77 * 768), torch.randn(77 * 768)
    found = within_reach(states, SHAPE, kind, empty)
    head = new_head(kind, within_reach(torch.randn(9, 77 * 768), SHAPE, kind, empty))
    free = head.coordinates(found).clone().requires_grad_(True)
    F.mse_loss(head.from_coordinates(free), states, reduction="sum").backward()
    assert free.grad is not None
    assert free.grad.abs().max() < 1e-2  # no other vector of this head is nearer to the states
    torch.testing.assert_close(head.from_coordinates(free.detach()), found, atol=1e-4, rtol=1e-4)


def test_a_broadcast_prediction_is_the_same_in_every_token():
    head = new_head("broadcast", reachable("broadcast"))
    tokens = head.unpack(head(torch.randn(2, 2, 4)))[0]
    assert torch.allclose(tokens, tokens[:, :1].expand_as(tokens))
    assert not torch.allclose(tokens[0, 0], tokens[1, 0])


def test_a_last_token_prediction_keeps_the_empty_prompts_other_tokens(clip, tmp_path):
    empty = text_states("sd1.text", clip, [""])[0]
    states, shape = load_targets("sd1.text", clip, ["a red star", "a blue ring", "a green cross"], cache=tmp_path)
    head = new_head("last-token", within_reach(states, shape, "last-token", empty))
    tokens = head.unpack(head(torch.randn(2, 2, 4)))[0]
    torch.testing.assert_close(tokens[:, :-1], empty.reshape(1, *SHAPE)[:, :-1].expand(2, -1, -1), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(tokens[0, -1], tokens[1, -1])


@pytest.mark.parametrize("kind", ONE_TOKEN)
def test_an_encoder_with_such_a_head_is_trained_saved_and_decoded(kind, clip, store, tmp_path):
    options = train_options(
        data=store, out=tmp_path / "run", clip=clip, encoder="linear", set=("n_bins=12",), head=kind
    )
    encoder = load_encoder(train(options))
    trials = open_store(store).trials()
    found = condition(encoder, encode_ready(encoder, trials.eeg[:5]))
    assert found.context is not None
    assert found.context.shape == (5, 77, 768)
    assert found.negative is not None
    assert not torch.allclose(found.context, found.negative.context)
    with pytest.raises(ValueError, match=f"--head {kind}"):
        train(
            with_flags(options, out=tmp_path / "other", head="basis", finetune=tmp_path / "run" / "encoder.safetensors")
        )


@pytest.mark.parametrize("loss", ["mse", "cosine", "infonce"])
def test_every_loss_trains_a_one_vector_head_by_gradient_descent(loss, clip, store, tmp_path):
    small = ("kernel=9", "pool=9", "stride=8", "n_filters=4")
    options = train_options(data=store, out=tmp_path / "run", clip=clip, set=small, head="last-token", loss=loss,
                           epochs=2, batch=16)  # fmt: skip
    assert load_encoder(train(options)).head().config.kind == "last-token"


def test_what_is_no_plain_text_is_refused():
    for space in ("sdxl.text", "clip-l.image"):
        with pytest.raises(ValueError, match="text without a pooled"):
            HeadConfig(space, "broadcast")
