"""The lstm encoder: the published function, and a state that starts at zero."""

import pytest
import torch

from core.encoders.lstm import Lstm, LstmConfig


def test_the_recurrence_is_the_published_one():
    torch.manual_seed(0)
    encoder, eeg = Lstm(LstmConfig(n_channels=3, n_times=7, hidden=5, width=4)), torch.randn(2, 3, 7)
    cell = torch.nn.LSTMCell(3, 5)
    cell.load_state_dict({name[: -len("_l0")]: tensor for name, tensor in encoder.lstm.state_dict().items()})
    state = torch.zeros(2, 5), torch.zeros(2, 5)
    for step in range(7):
        state = cell(eeg[:, :, step], state)
    torch.testing.assert_close(encoder(eeg)[:, 0], encoder.last(state[0]))


def test_features_have_both_signs_unless_the_published_relu_is_asked_for():
    torch.manual_seed(0)
    eeg = torch.randn(8, 3, 7)
    plain = Lstm(LstmConfig(n_channels=3, n_times=7))
    published = Lstm(LstmConfig(n_channels=3, n_times=7, relu=True))
    published.load_state_dict(plain.state_dict())
    assert plain(eeg).min() < 0 < plain(eeg).max()
    assert torch.equal(published(eeg), plain(eeg).relu())


@pytest.mark.parametrize("training", [True, False])
def test_a_window_gives_the_same_features_every_time(training):
    torch.manual_seed(0)
    encoder, eeg = Lstm(LstmConfig(n_channels=3, n_times=7)).train(training), torch.randn(2, 3, 7)
    assert torch.equal(encoder(eeg), encoder(eeg))


def test_the_last_sample_and_the_first_both_matter():
    torch.manual_seed(0)
    encoder, eeg = Lstm(LstmConfig(n_channels=3, n_times=7)), torch.randn(1, 3, 7)
    for sample in (0, -1):
        changed = eeg.clone()
        changed[..., sample] += 1
        assert not torch.allclose(encoder(changed), encoder(eeg))
