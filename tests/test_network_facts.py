"""What holds for every architecture that gradient descent trains: it learns, keeps its numbers, bears poor input."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.encoders import ENCODERS, build_encoder
from core.encoders.attention.atms import Atms, AtmsConfig
from core.encoders.convolutional.eegnet import Eegnet, EegnetConfig
from core.encoders.convolutional.max_norm import MaxNormConv2d
from core.encoders.convolutional.time_space import TimeSpace
from core.encoders.convolutional.vbp import Vbp, VbpConfig
from core.encoders.registry import by_gradient_descent
from core.model.checkpoint import EegEncoder, load_encoder, save_encoder
from core.model.heads import HeadConfig
from core.preprocessing.normaliser import Normaliser
from tests.small_encoders import small_preprocessing
from tests.test_encoders import CASES
from trainer.processes.as_one import as_one
from trainer.processes.in_parts import in_parts

TRAINED = [name for name in by_gradient_descent() if name in CASES and ENCODERS[name].input == "eeg"]
ROWS = 7


def example(name, n):
    torch.manual_seed(1)
    return torch.randn(n, CASES[name]["n_channels"], CASES[name]["n_times"])


def build(name, **settings):
    torch.manual_seed(0)
    return build_encoder(name, {**CASES[name], **settings})


def undropped(encoder):
    """Turn an encoder's dropouts off."""
    for part in encoder.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    return encoder


@pytest.mark.parametrize("name", TRAINED)
def test_one_step_lowers_the_loss(name):
    encoder = undropped(build(name)).train()
    head = torch.nn.Linear(encoder.n_tokens * encoder.width, 2)
    eeg, label = example(name, 16), torch.arange(16) % 2
    parameters = [*encoder.parameters(), *head.parameters()]
    optimiser = torch.optim.SGD(parameters, lr=1e-3)

    def loss():
        return torch.nn.functional.cross_entropy(head(encoder(eeg).flatten(1)), label)

    before = loss()
    before.backward()
    optimiser.step()
    assert loss() < before


@pytest.mark.parametrize("name", TRAINED)
def test_channels_without_signal_give_finite_tokens_and_gradients(name):
    for eeg in (torch.zeros(3, *example(name, 1).shape[1:]), torch.ones(3, *example(name, 1).shape[1:])):
        encoder = build(name).train()
        tokens = encoder(eeg)
        tokens.square().sum().backward()
        assert torch.isfinite(tokens).all()
        assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters())
        assert torch.isfinite(encoder.eval()(eeg)).all()


@pytest.mark.parametrize("name", TRAINED)
def test_one_window_is_decoded_and_trains(name):
    encoder = build(name)
    encoder.train()(example(name, 1)).sum().backward()
    assert encoder.eval()(example(name, 1)).shape == (1, encoder.n_tokens, encoder.width)


def test_one_window_that_leaves_one_frame_cannot_be_normalised_and_is_told_so():
    encoder = build_encoder("ubp-eegnet", {"n_channels": 2, "n_times": 95}).train()
    with pytest.raises(ValueError, match="more than 1 value per channel when training"):
        encoder(torch.randn(1, 2, 95))
    assert encoder(torch.randn(2, 2, 95)).shape == (2, 1, 16)


@pytest.mark.parametrize("name", TRAINED)
def test_a_file_gives_the_same_numbers(name, tmp_path):
    config = small_preprocessing(tmin=0.0, tmax=1.0)
    n_channels = len(config.ch_names)
    sizes = {"n_channels": n_channels, "n_times": config.n_times}
    heads = [HeadConfig("prompts", "prompts", prompts=("a face", "a house"))]
    nothing = Normaliser(np.zeros(n_channels, np.float32), np.ones(n_channels, np.float32))
    people = ("ann", "bob") if ENCODERS[name].by_subject else ()
    torch.manual_seed(0)
    encoder = EegEncoder(config, nothing, name, {**CASES[name], **sizes}, heads, people=people)
    eeg = torch.randn(4, n_channels, config.n_times)
    encoder.train()(eeg)  # moves running statistics off their start
    encoder.eval()
    save_encoder(encoder, tmp_path / "one.safetensors")
    loaded = load_encoder(tmp_path / "one.safetensors")
    numbers = encoder.numbers_of(["bob", "ann", "carl", "bob"])
    with torch.no_grad():
        assert torch.equal(loaded(eeg)["prompts"], encoder(eeg)["prompts"])
        assert torch.equal(loaded(eeg, numbers)["prompts"], encoder(eeg, numbers)["prompts"])
    assert loaded.people == people


@pytest.mark.parametrize("rows", [2, 7])
@pytest.mark.parametrize("name", TRAINED)
def test_a_batch_in_parts_gives_what_the_whole_batch_gives(name, rows):
    def one_step(rows):
        made, eeg = build(name).train(), example(name, ROWS)
        torch.manual_seed(5)
        with as_one(made, rows > 0) as dealt, in_parts(made, rows, dealt, True):
            dealt.rows = ROWS
            found = made(eeg)
            (found.square() * torch.arange(1.0, ROWS + 1)[:, None, None]).mean().backward()
        return {"output": found.detach(), **{part: p.grad for part, p in made.named_parameters()},
                **dict(made.named_buffers())}  # fmt: skip

    whole, parts = one_step(0), one_step(rows)
    for part, value in whole.items():
        torch.testing.assert_close(parts[part], value, rtol=1e-3, atol=1e-5, msg=part)


def test_spatial_filters_keep_to_their_max_norm_in_training_and_in_the_file(tmp_path):
    encoder = Eegnet(EegnetConfig(n_channels=6, n_times=64, kernel=8))
    optimiser = torch.optim.SGD(encoder.parameters(), lr=30.0)
    for _ in range(3):
        encoder.train()(torch.randn(8, 6, 64)).square().mean().neg().backward()
        assert encoder.spatial.weight.flatten(1).norm(dim=1).max() <= 1
        optimiser.step()
        optimiser.zero_grad()
    with torch.no_grad():
        encoder.spatial.weight.mul_(5)
    encoder.eval()
    lengths = encoder.spatial.weight.flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    assert lengths.max() <= 1
    kept = encoder.spatial.weight.clone()
    assert torch.equal(encoder.train().eval().spatial.weight, kept)


def test_a_filter_that_a_file_holds_too_long_is_shortened_when_it_is_loaded(tmp_path):
    config = small_preprocessing()
    sizes = {"n_channels": len(config.ch_names), "n_times": config.n_times}
    nothing = Normaliser(np.zeros(8, np.float32), np.ones(8, np.float32))
    heads = [HeadConfig("prompts", "prompts", prompts=("a", "b"))]
    encoder = EegEncoder(config, nothing, "eegnet", {**CASES["eegnet"], **sizes}, heads).eval()
    with torch.no_grad():
        encoder.backbone.spatial.weight.mul_(9)
    save_encoder(encoder, tmp_path / "one.safetensors")
    assert load_file(tmp_path / "one.safetensors")["model.backbone.spatial.weight"].flatten(1).norm(dim=1).max() > 1
    loaded = load_encoder(tmp_path / "one.safetensors").backbone.spatial
    assert isinstance(loaded, MaxNormConv2d)
    assert loaded.weight.flatten(1).norm(dim=1).max() <= 1


@pytest.mark.parametrize("spatial_bias", [True, False])
def test_time_and_space_in_one_equal_the_two_convolutions(spatial_bias):
    torch.manual_seed(0)
    both = TimeSpace(5, 3, 4, 7, spatial_bias=spatial_bias).double()
    eeg = torch.randn(6, 5, 40, dtype=torch.double)
    over_time = torch.nn.functional.conv2d(eeg[:, None], both.temporal.weight[:, :, None], both.temporal.bias)
    sources = torch.nn.functional.conv2d(over_time, both.spatial.weight[..., None], both.spatial.bias)[:, :, 0]
    for mode in (True, False):
        both.train(mode)
        twin = torch.nn.BatchNorm1d(4).double().train(mode)
        twin.load_state_dict(both.norm.state_dict())
        torch.testing.assert_close(both(eeg), twin(sources))
        torch.testing.assert_close(both.norm.running_mean, twin.running_mean)


@pytest.mark.parametrize("name", ["eegnet", "ubp-eegnet", "shallow-fbcsp", "deep4", "eegconformer"])
def test_a_bias_that_a_norm_takes_away_has_a_gradient_of_zero(name):
    encoder = build(name, **({"bias": True} if name == "deep4" else {})).train()
    encoder(example(name, 8)).square().sum().backward()
    taken = {"eegnet": ("temporal_norm.bias",), "deep4": ("sources.temporal.bias", "blocks.0.convolution.bias")}
    taken["ubp-eegnet"] = ("temporal.bias", "temporal_norm.bias", "spatial.bias", "second.bias")
    for part in taken.get(name, ("sources.temporal.bias",)):
        assert (encoder.get_parameter(part).grad == 0).all(), part
    assert (encoder.get_parameter("sources.norm.bias" if "sources" in dict(encoder.named_children()) else
                                  "spatial_norm.bias").grad != 0).any()  # fmt: skip


def test_every_channel_reaches_the_convolutions_of_atms():
    encoder = Atms(AtmsConfig(n_channels=4, n_times=30, width=80, n_subjects=2)).eval()
    eeg = torch.randn(1, 4, 30, requires_grad=True)
    seen = []
    encoder.convolutions.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    encoder(eeg)
    assert seen[0].shape == (1, 4, 80)
    # The last channel's own token is there: without attention between channels it alone would depend on it.
    with torch.no_grad():
        encoder.block.attention.project.weight.zero_()
    encoder(eeg)
    (gradient,) = torch.autograd.grad(seen[1][0, 3].square().dot(torch.arange(80.0)), eeg)
    assert gradient[0, 3].abs().sum() > 0
    assert gradient[0, :3].abs().sum() == 0


def test_the_last_person_of_atms_has_a_token_and_an_unknown_one_the_shared():
    torch.manual_seed(0)
    encoder = Atms(AtmsConfig(n_channels=2, n_times=20, width=80, n_subjects=10)).eval()
    eeg = torch.randn(1, 2, 20).expand(11, -1, -1)
    found = encoder(eeg, torch.tensor([*range(10), -1]))
    assert len(torch.unique(found.flatten(1).detach(), dim=0)) == 11
    torch.testing.assert_close(found[-1], encoder(eeg[:1])[0])
    with pytest.raises(ValueError, match="subject 10 is beyond the 10 people"):
        encoder(eeg[:1], torch.tensor([10]))


def test_the_shared_token_of_atms_is_learned_from_people_who_are_withheld():
    torch.manual_seed(0)
    encoder = Atms(AtmsConfig(n_channels=2, n_times=20, width=80, n_subjects=2, withheld=0.5)).train()
    encoder(torch.randn(40, 2, 20), torch.arange(40) % 2).square().sum().backward()
    assert (encoder.people.grad.abs().sum(1) > 0).all()


def test_weights_over_channels_of_vbp_are_never_negative():
    torch.manual_seed(0)
    encoder = Vbp(VbpConfig(n_channels=6, n_times=20, n_maps=4, hidden=5, width=3))
    assert (encoder.spatial.weight < 0).any()
    assert (encoder.channel_weights() >= 0).all()
    other = Vbp(VbpConfig(n_channels=6, n_times=20, n_maps=4, hidden=5, width=3))
    other.load_state_dict({**encoder.state_dict(), "spatial.weight": encoder.spatial.weight.abs()})
    eeg = torch.randn(3, 6, 20)
    assert torch.equal(encoder.eval()(eeg), other.eval()(eeg))
