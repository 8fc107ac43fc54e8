"""Encoders have the parameters and the output sizes of the publications' own networks."""

import pytest
import torch
from torch import nn

from core.encoders import BuildContext, build_encoder, config_for
from core.encoders.dense.projector import Projector

# (encoder, settings, channels, samples, width of the projector behind it or 0, classes or 0, parameters)
PUBLISHED = [
    *(("nice", {}, c, 250, 0, 0, n) for c, n in ((63, 103_680), (17, 30_080), (14, 25_280), (4, 9_280))),
    *(("nice", {}, c, 250, 1024, 0, n) for c, n in ((63, 2_630_912), (17, 2_557_312), (14, 2_552_512), (4, 2_536_512))),
    ("nice", {}, 63, 250, 768, 0, 1_802_496),
    ("nice", {}, 17, 250, 768, 0, 1_728_896),
    *(
        ("eegproject", {}, c, 250, 0, 0, n)
        for c, n in ((17, 5_404_672), (63, 17_180_672), (14, 4_636_672), (4, 2_076_672))
    ),
    # Without the table of people, of which the shared token is the one row here: 3.07 M and 2.999 M in the text.
    ("atm-s", {}, 63, 250, 1024, 0, 3_072_662 + 250),
    ("atm-s", {}, 17, 250, 1024, 0, 2_999_062 + 250),
    ("eegnet", {}, 63, 250, 0, 0, 2_112),
    ("eegnet", {}, 22, 512, 0, 4, 2_484),
    ("ubp-eegnet", {}, 17, 250, 0, 0, 6_904),
    ("ubp-eegnet", {}, 63, 250, 0, 0, 12_792),
    ("eegconformer", {}, 63, 250, 0, 4, 343_172),
    ("eegconformer", {}, 22, 1000, 0, 4, 789_572),
    ("eegconformer", {"readout": False}, 63, 250, 0, 0, 103_600 + 118_320),
    ("eegconformer", {"readout": False}, 22, 250, 0, 0, 38_000 + 118_320),
    ("shallow-fbcsp", {}, 22, 1000, 0, 4, 46_084),
    ("shallow-fbcsp", {"power": False, "spatial_bias": True, "pool": 51, "stride": 5}, 17, 250, 1024, 0, 2_555_592),
    ("deep4", {}, 22, 1000, 0, 4, 282_879),
    ("deep4", {"pool": 2, "bias": True}, 17, 250, 1024, 0, 2_760_797),
    # The brain side of 7,363,449 and 7,362,299: less the picture adapter and the mix of blurs.
    ("vbp", {}, 63, 250, 0, 0, 7_363_449 - 2 * (1024**2 + 1024) - 51_200),
    ("vbp", {}, 17, 250, 0, 0, 7_362_299 - 2 * (1024**2 + 1024) - 51_200),
    # ENIGMA without its layers a person.
    ("nice", {"kernel": 5, "pool": 17, "n_mixed": 4}, 17, 250, 1024, 0, 1_268_892),
    ("nice", {"kernel": 5, "pool": 17, "n_mixed": 4}, 63, 250, 1024, 0, 1_342_492),
]
FEATURES = [
    ("nice", {}, 250, 1440),
    ("nice", {}, 100, 240),
    ("nice", {"kernel": 5, "pool": 17, "n_mixed": 4}, 250, 184),
    ("eegproject", {}, 250, 1024),
    ("atm-s", {}, 250, 1440),
    ("atm-s", {}, 100, 1440),
    ("eegnet", {}, 250, 112),
    ("ubp-eegnet", {}, 250, 1248),
    ("eegconformer", {}, 250, 32),
    ("eegconformer", {"readout": False}, 250, 11 * 40),
    ("shallow-fbcsp", {"power": False, "spatial_bias": True, "pool": 51, "stride": 5}, 250, 1440),
    ("deep4", {"pool": 2, "bias": True}, 250, 1400),
    ("resnet1d", {}, 256, 320 * 16),
    ("resnet1d", {}, 250, 320 * 16),
    ("vbp", {}, 250, 1024),
]
SHORTEST = {"nice": 75, "eegnet": 32, "ubp-eegnet": 95, "eegconformer": 99, "shallow-fbcsp": 99, "deep4": 31}


def on_paper(name, settings, n_channels, n_times):
    """Return an encoder without memory for its weights."""
    with torch.device("meta"):
        return build_encoder(name, {**settings, "n_channels": n_channels, "n_times": n_times})


@pytest.mark.parametrize(("name", "settings", "n_channels", "n_times", "projected", "n_classes", "expected"), PUBLISHED)
def test_parameters_are_those_of_the_publication(name, settings, n_channels, n_times, projected, n_classes, expected):
    encoder = on_paper(name, settings, n_channels, n_times)
    behind: list[nn.Module] = []
    with torch.device("meta"):
        features = encoder.n_tokens * encoder.width
        behind += [Projector(features, projected, 0.5)] if projected else []
        behind += [nn.Linear(features, n_classes)] if n_classes else []
    modules = [encoder, *behind]
    assert sum(parameter.numel() for module in modules for parameter in module.parameters()) == expected


@pytest.mark.parametrize("n_channels", [63, 17, 14, 4])
@pytest.mark.parametrize(("name", "settings", "n_times", "expected"), FEATURES)
def test_features_are_those_of_the_publication_on_any_montage(name, settings, n_times, expected, n_channels):
    encoder = build_encoder(name, {**settings, "n_channels": n_channels, "n_times": n_times}).eval()
    assert encoder.n_tokens * encoder.width == expected
    with torch.no_grad():
        assert encoder(torch.randn(2, n_channels, n_times)).shape == (2, encoder.n_tokens, encoder.width)


def test_the_attention_of_atms_is_as_large_as_published():
    encoder = on_paper("atm-s", {}, 63, 250)
    attention = (*encoder.block.parameters(), *encoder.norm.parameters())
    assert sum(parameter.numel() for parameter in attention) == 379_000
    with torch.device("meta"):
        of_ten = build_encoder("atm-s", {"n_subjects": 10})
    assert of_ten.people.shape == (11, 250)


@pytest.mark.parametrize("name", SHORTEST)
def test_a_window_too_short_is_told_what_it_needs(name):
    def context(n_times):
        return BuildContext(4, n_times, 250.0, ("a", "b", "c", "d"))

    assert config_for(name, context(SHORTEST[name])).n_frames >= 1
    with pytest.raises(ValueError, match=rf"{SHORTEST[name] - 1} samples.*at least {SHORTEST[name]}"):
        config_for(name, context(SHORTEST[name] - 1))


@pytest.mark.parametrize("name", ["eegproject", "atm-s", "brain-mlp", "resnet1d", "vbp"])
def test_the_others_take_windows_of_any_length(name):
    for n_times in (1, 2, 37):
        assert on_paper(name, {}, 3, n_times).width > 0


@pytest.mark.parametrize(
    ("n_times", "kernel", "pool"), [(1000, 10, 3), (441, 10, 3), (440, 10, 2), (151, 10, 2), (150, 9, 2), (31, 2, 2)]
)
def test_deep4_is_sized_to_the_window(n_times, kernel, pool):
    context = BuildContext(3, n_times, 250.0, ("a", "b", "c"))
    made = config_for("deep4", context)
    assert (made.kernel, made.pool) == (kernel, pool)
    encoder = build_encoder("deep4", made).eval()
    assert encoder(torch.randn(2, 3, n_times)).shape == (2, 1, encoder.width)
    if n_times < 441:
        with pytest.raises(ValueError, match="4 kernels of 10 and pools of 3 need at least 441"):
            config_for("deep4", context, {"kernel": 10, "pool": 3})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("eegproject", {"n_channels": 1024, "n_times": 65536, "width": 8192}),
        ("brain-mlp", {"n_channels": 1024, "n_times": 65536}),
        ("vbp", {"n_maps": 1024, "hidden": 4096, "width": 8192}),
        ("resnet1d", {"n_filters": [2048] * 9, "kernel": 255}),
        ("deep4", {"n_filters": [1024] * 4, "kernel": 200, "n_times": 65536}),
        ("eegconformer", {"width": 1000, "depth": 48, "n_channels": 1024}),
    ],
)
def test_fields_that_are_too_large_together_are_refused_before_anything_is_made(name, values):
    with pytest.raises(ValueError, match="weights"):
        build_encoder(name, values)
