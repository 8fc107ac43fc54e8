"""Where braindecode is installed: our networks are its own, number for number."""

import warnings

import pytest
import torch
from torch import nn

from core.encoders import build_encoder

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its import warns of what its dependencies deprecate
    pytest.importorskip("braindecode", reason="braindecode is not installed (pip install braindecode)")
    from braindecode import models

N_CHANNELS = 22


def theirs(name, n_times):
    """Return braindecode's model with random weights and statistics, its dropouts off, and a list of what its last
    layer is given.
    """
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = getattr(models, name)(n_chans=N_CHANNELS, n_outputs=4, n_times=n_times)
    for part in made.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        if hasattr(part, "att_drop"):
            part.att_drop = 0.0
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(part.weight, 1.0, 0.2)
            nn.init.normal_(part.bias, 0.0, 0.2)
    seen = []
    made.final_layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    return made, seen


def with_their_weights(name, made, n_times, **settings):
    """Return our encoder with their weights, which come in the order of ours; queries, keys and values are put
    together.
    """
    ours = build_encoder(name, {"n_channels": N_CHANNELS, "n_times": n_times, **settings})
    for part in ours.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    found = {key: value for key, value in made.state_dict().items() if not key.startswith("final_layer")}
    values = []
    for key, value in found.items():
        if ".keys." in key:
            queries, keys, own = (found[key.replace("keys", part)] for part in ("queries", "keys", "values"))
            # Theirs divides scores by the root of a head's width, the publication's code by that of all heads'.
            values.append(torch.cat((queries * ours.config.n_heads**0.5, keys, own)))
        elif ".queries." not in key and ".values." not in key:
            values.append(value)
    state = ours.state_dict()
    assert len(values) == len(state)
    ours.load_state_dict({key: value.reshape(state[key].shape) for key, value in zip(state, values, strict=True)})
    return ours


@pytest.mark.parametrize(
    ("name", "their_name", "n_times", "total"),
    [
        ("eegconformer", "EEGConformer", 1000, 789_572),
        ("shallow-fbcsp", "ShallowFBCSPNet", 1000, 46_084),
        ("deep4", "Deep4Net", 1000, 282_879),
        ("eegnet", "EEGNet", 512, 2_484),
        ("eegconformer", "EEGConformer", 250, None),
        ("shallow-fbcsp", "ShallowFBCSPNet", 250, None),
        ("deep4", "Deep4Net", 450, None),
        ("eegnet", "EEGNet", 250, None),
    ],
)
def test_features_and_statistics_are_those_of_braindecode(name, their_name, n_times, total):
    made, seen = theirs(their_name, n_times)
    if total is not None:
        assert sum(parameter.numel() for parameter in made.parameters()) == total
    if name == "eegnet":
        # Theirs pads both sides alike and so has one sample more; as published, an even kernel leaves as many.
        for part, behind in ((made.conv_temporal, 32), (made.conv_separable_depth, 8)):
            part.padding = (0, 0)
            part.register_forward_pre_hook(
                lambda _, given, behind=behind: nn.functional.pad(given[0], (behind - 1, behind))
            )
    ours = with_their_weights(name, made, n_times)
    own = sum(parameter.numel() for parameter in ours.parameters())
    assert own == sum(p.numel() for key, p in made.named_parameters() if not key.startswith("final_layer"))
    for training in (True, True, False):  # running statistics advance alike
        made.train(training), ours.train(training)
        eeg = 2 * torch.randn(6, N_CHANNELS, n_times)
        with torch.no_grad():
            made(eeg)
            torch.testing.assert_close(ours(eeg).flatten(1), seen[-1].flatten(1), rtol=1e-3, atol=1e-4)


def test_gradients_are_those_of_braindecode():
    made, seen = theirs("EEGConformer", 250)
    ours = with_their_weights("eegconformer", made, 250)
    eeg = torch.randn(6, N_CHANNELS, 250)
    made(eeg), ours(eeg).square().sum().backward()
    seen[-1].square().sum().backward()
    torch.testing.assert_close(
        ours.sources.spatial.weight.grad, made.patch_embedding.shallownet[1].weight.grad[..., 0], rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(
        ours.sources.temporal.weight.grad, made.patch_embedding.shallownet[0].weight.grad[:, 0], rtol=1e-3, atol=1e-3
    )
