"""The nice encoder: the published function, and its folded form that equals it."""

import copy

import pytest
import torch
from torch import nn

from core.encoders.nice import Nice, NiceConfig


def published(encoder):
    """Return the published stack of 2-D layers with the encoder's weights, reading eeg (batch, 1, channels, times)."""
    config = encoder.config
    stack = nn.Sequential(
        nn.Conv2d(1, config.n_filters, (1, config.kernel)),
        nn.AvgPool2d((1, config.pool), (1, config.stride)),
        nn.BatchNorm2d(config.n_filters),
        nn.ELU(),
        nn.Conv2d(config.n_filters, config.n_filters, (config.n_channels, 1)),
        nn.BatchNorm2d(config.n_filters),
        nn.ELU(),
        nn.Dropout(config.dropout),
        nn.Conv2d(config.n_filters, config.n_filters, 1),
    )
    with torch.no_grad():
        for layer, ours in ((stack[0], encoder.temporal), (stack[8], encoder.mix)):
            layer.weight.copy_(ours.weight.reshape(layer.weight.shape))
            layer.bias.copy_(ours.bias)
        spatial = encoder.spatial.weight.reshape(config.n_filters, config.n_channels, config.n_filters)
        stack[4].weight.copy_(spatial.transpose(1, 2)[..., None])
        stack[4].bias.copy_(encoder.spatial.bias)
    return stack


@pytest.mark.parametrize("folded", [True, False])
def test_both_forms_equal_the_published_layers(folded):
    torch.manual_seed(0)
    encoder = Nice(NiceConfig(n_channels=7, n_times=250, dropout=0.0, folded=folded))
    stack = published(encoder)
    for _ in range(3):  # running statistics advance alike
        eeg = 3 * torch.randn(8, 7, 250) + 1
        torch.testing.assert_close(encoder(eeg)[:, 0], stack(eeg[:, None]).flatten(1), rtol=0, atol=1e-5)
    encoder.eval(), stack.eval()
    torch.testing.assert_close(encoder(eeg)[:, 0], stack(eeg[:, None]).flatten(1), rtol=0, atol=1e-5)


def test_published_sizes_give_1440_features():
    encoder = Nice(NiceConfig())
    assert encoder(torch.randn(2, 63, 250)).shape == (2, 1, 1440)
    assert NiceConfig(n_channels=17, n_times=100).n_frames * 40 == 240


@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_folding_keeps_outputs_gradients_and_statistics(offset):
    torch.manual_seed(0)
    folded = Nice(NiceConfig(n_channels=6, n_times=115, dropout=0.0)).double()
    unfolded = Nice(NiceConfig(n_channels=6, n_times=115, dropout=0.0, folded=False)).double()
    unfolded.load_state_dict(folded.state_dict())
    eeg = torch.randn(9, 6, 115, dtype=torch.double) + offset
    inputs = eeg.clone().requires_grad_(), eeg.clone().requires_grad_()
    for encoder, x in zip((folded, unfolded), inputs, strict=True):
        encoder(x).square().sum().backward()
    for (name, a), b in zip(folded.named_parameters(), unfolded.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-6, atol=1e-6, msg=name)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-6, atol=1e-6)
    for (name, a), b in zip(folded.named_buffers(), unfolded.buffers(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9, msg=name)


def test_folding_changes_no_weight_and_training_agrees():
    torch.manual_seed(0)
    folded = Nice(NiceConfig(n_channels=4, n_times=128, dropout=0.0))
    unfolded = Nice(NiceConfig(n_channels=4, n_times=128, dropout=0.0, folded=False))
    unfolded.load_state_dict(copy.deepcopy(folded.state_dict()))
    eeg, target = torch.randn(32, 4, 128), torch.randn(32, 1, folded.width)
    for encoder in (folded, unfolded):
        optimizer = torch.optim.SGD(encoder.parameters(), lr=1e-2)
        for _ in range(5):
            optimizer.zero_grad()
            (encoder(eeg) - target).square().mean().backward()
            optimizer.step()
    for (name, a), b in zip(folded.named_parameters(), unfolded.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4, msg=name)


def test_a_window_too_short_names_the_minimum():
    with pytest.raises(ValueError, match="at least 75"):
        NiceConfig(n_times=74)
    assert Nice(NiceConfig(n_channels=2, n_times=75))(torch.randn(2, 2, 75)).shape == (2, 1, 40)


def test_a_signal_without_variance_gives_finite_tokens():
    encoder = Nice(NiceConfig(n_channels=2, n_times=115))
    assert torch.isfinite(encoder(torch.zeros(3, 2, 115))).all()
