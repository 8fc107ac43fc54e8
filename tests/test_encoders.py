"""What every encoder in the registry keeps: shapes, configs that survive JSON, gradients, evaluation that repeats."""

import json
from dataclasses import asdict, fields

import pytest
import torch

from core.encoders import ENCODERS, build_encoder, config_from_dict, config_to_dict
from core.encoders.tangent import TangentConfig, fit_tangent

OWN = [name for name, row in ENCODERS.items() if not row.package]
# Small sizes that still pass every stage; a registry entry without one fails `test_every_encoder_has_a_case`.
CASES = {
    "coatnet": {
        "in_channels": 3,
        "image_height": 33,
        "image_width": 17,
        "depths": [1, 2, 1, 2],
        "widths": [8, 12, 16, 24],
        "n_heads": 2,
        "head_width": 8,
    },
    "nice": {"n_channels": 5, "n_times": 115, "n_filters": 6},
    "linear": {"n_channels": 5, "n_times": 64, "n_bins": 16},
    "tangent": {"n_channels": 5, "n_times": 64, "n_classes": 2, "n_filters": 2},
    "filter-bank": {"n_channels": 5, "n_times": 64, "sfreq": 64.0, "n_classes": 3},
    "lstm": {"n_channels": 5, "n_times": 24, "hidden": 12, "width": 8},
    "patch-transformer": {"n_channels": 5, "n_times": 45, "patch": 8, "width": 16, "depth": 2, "n_heads": 2},
    "eegproject": {"n_channels": 5, "n_times": 24, "width": 12},
    "atm-s": {"n_channels": 5, "n_times": 24, "n_subjects": 2, "width": 22, "feed_forward": 12, "n_filters": 4,
              "kernel": 5, "pool": 6},
    "eegnet": {"n_channels": 5, "n_times": 70, "n_filters": 3, "kernel": 16, "separable_kernel": 6},
    "ubp-eegnet": {"n_channels": 5, "n_times": 45, "n_filters": 3, "n_sources": 4, "kernel": 16, "second_kernel": 6},
    "eegconformer": {"n_channels": 5, "n_times": 60, "width": 8, "pool": 20, "stride": 5, "depth": 2, "n_heads": 2},
    "shallow-fbcsp": {"n_channels": 5, "n_times": 60, "n_filters": 4, "n_sources": 6, "pool": 20, "stride": 5},
    "deep4": {"n_channels": 5, "n_times": 64, "n_filters": [3, 4, 5, 6], "kernel": 3, "pool": 2},
    "brain-mlp": {"n_channels": 5, "n_times": 24, "width": 12, "depth": 2},
    "resnet1d": {"n_channels": 5, "n_times": 45, "n_filters": [4, 6, 6, 8], "kernel": 5},
    "vbp": {"n_channels": 5, "n_times": 24, "n_maps": 6, "hidden": 7, "width": 8},
}  # fmt: skip
# Parameters of the default configs. coatnet: 22.9 M with the head's 300 x 77 projection, as published.
GOLDEN_PARAMETERS = {"coatnet": 22_862_684, "nice": 103_680, "linear": 0, "tangent": 0, "filter-bank": 0}
GOLDEN_PARAMETERS |= {"lstm": 148_608, "patch-transformer": 158_080}
# of test_published_sizes.py
GOLDEN_PARAMETERS |= {"eegproject": 5_404_672, "atm-s": 545_680, "eegnet": 2_112, "ubp-eegnet": 6_904, "deep4": 277_275}
GOLDEN_PARAMETERS |= {"eegconformer": 343_040, "shallow-fbcsp": 101_920, "brain-mlp": 131_682_304, "vbp": 5_213_049}
GOLDEN_PARAMETERS |= {"resnet1d": 6_835_552}
ZERO_IS_ALLOWED = ("n_bins", "dropout", "n_mixed", "n_subjects", "block_dropout", "second_dropout", "withheld")
ZERO_IS_ALLOWED += ("convolution_dropout",)


def build(name):
    torch.manual_seed(0)
    return build_encoder(name, CASES[name])


def example(name, n=3):
    """Return a batch of `n` inputs of the case's size."""
    torch.manual_seed(1)
    case = CASES[name]
    if ENCODERS[name].input == "spectrogram":
        return torch.rand(n, case["in_channels"], case["image_height"], case["image_width"])
    return torch.randn(n, case["n_channels"], case["n_times"])


def test_every_encoder_has_a_case():
    assert set(CASES) == set(OWN) == set(GOLDEN_PARAMETERS)


@pytest.mark.parametrize("name", OWN)
def test_tokens_have_the_announced_shape(name):
    encoder = build(name)
    tokens = encoder(example(name))
    assert tokens.shape == (3, encoder.n_tokens, encoder.width)
    assert tokens.dtype == torch.float32
    assert torch.isfinite(tokens).all()


@pytest.mark.parametrize("name", OWN)
def test_config_survives_json(name):
    for config in (ENCODERS[name].config_class(), config_from_dict(name, CASES[name])):
        assert config_from_dict(name, json.loads(json.dumps(config_to_dict(config)))) == config


@pytest.mark.parametrize("name", OWN)
def test_weights_load_into_a_fresh_module(name):
    encoder, other = build(name).eval(), build_encoder(name, CASES[name]).eval()
    for tensor in encoder.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.01)
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder(example(name)), other(example(name)))


@pytest.mark.parametrize("name", OWN)
def test_backward_reaches_every_parameter_and_the_input(name):
    encoder, x = build(name).train(), example(name).requires_grad_()
    encoder(x).square().sum().backward()
    for path, tensor in (("input", x), *encoder.named_parameters()):
        assert tensor.grad is not None, path
        assert torch.isfinite(tensor.grad).all(), path
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("name", OWN)
def test_evaluation_repeats_and_ignores_the_rest_of_the_batch(name):
    encoder, x = build(name), example(name, 4)
    encoder(x)  # moves running statistics off their start
    encoder.eval()
    with torch.no_grad():
        together, again = encoder(x), encoder(x)
        alone = torch.cat([encoder(one[None]) for one in x])
        state = {key: value.clone() for key, value in encoder.state_dict().items()}
        encoder(100 * x)
    assert torch.equal(together, again)
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, encoder.state_dict()[key]) for key, value in state.items())


@pytest.mark.parametrize("name", OWN)
def test_an_empty_batch_gives_no_tokens_in_evaluation(name):
    encoder = build(name).eval()
    with torch.no_grad():
        assert encoder(example(name)[:0]).shape == (0, encoder.n_tokens, encoder.width)


@pytest.mark.parametrize("name", OWN)
def test_parameter_count_is_the_golden_one(name):
    with torch.device("meta"):
        encoder = build_encoder(name, {})
    assert sum(parameter.numel() for parameter in encoder.parameters()) == GOLDEN_PARAMETERS[name]


@pytest.mark.parametrize("name", OWN)
def test_an_input_of_another_shape_names_both_shapes(name):
    encoder, x = build(name), example(name)
    with pytest.raises(ValueError, match=str(x.shape[-1])):
        encoder(x[..., 1:])


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=rf"'nicee'.*known: {', '.join(sorted(ENCODERS))}"):
        build_encoder("nicee", {})


@pytest.mark.parametrize("name", OWN)
def test_an_unknown_key_lists_the_known_ones(name):
    with pytest.raises(ValueError, match=rf"n_chanels.*known: {fields(ENCODERS[name].config_class)[0].name}"):
        config_from_dict(name, {"n_chanels": 4})


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("hostile", [0, -1, 10**12, 2.5, True, "8", None, float("nan"), [4] * 99, []])
def test_hostile_values_are_refused_by_name(name, hostile):
    config_class = ENCODERS[name].config_class
    for field in fields(config_class):
        allowed = (hostile == 0 and field.name in ZERO_IS_ALLOWED) or (field.name, hostile) == ("sfreq", 2.5)
        if field.type is not bool and not allowed:
            with pytest.raises(ValueError, match=config_class.__name__):
                config_from_dict(name, {**asdict(config_class()), field.name: hostile})


def test_a_config_of_another_encoder_is_refused():
    with pytest.raises(ValueError, match="NiceConfig"):
        build_encoder("nice", TangentConfig())


def test_half_precision_autocast_gives_finite_gradients():
    encoder = build("nice").train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoder(example("nice")).float().square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters())


def test_a_fitted_tangent_is_an_encoder_of_the_registry():
    eeg, labels = torch.randn(20, 5, 64), torch.arange(20) % 2
    fitted = fit_tangent(eeg, labels, config_from_dict("tangent", CASES["tangent"]))
    fresh = build("tangent")
    fresh.load_state_dict(fitted.state_dict())
    assert torch.equal(fresh(eeg), fitted(eeg))
