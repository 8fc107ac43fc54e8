"""Whatever an encoder's windows are scaled to, its spectrogram shows them: no picture of one colour."""

import numpy as np
import pytest
import torch

from core.model.prediction import encode_ready
from core.model.spectrogram import Spectrogram, SpectrogramConfig, fit_range
from tests.small_trials import CONFIG, class_trials
from trainer.config.options import train_options
from trainer.training.build import build_for
from trainer.training.splits import split_trials

CCT = ("stages=CT", "depths=1,1", "widths=4,6", "n_heads=2", "head_width=4")


def pictures_of(trials, **options):
    chosen = train_options(encoder="coatnet", set=CCT, space=("prompts",), **options)
    parts = split_trials(trials, chosen)
    encoder = build_for(trials, parts["train"], CONFIG, chosen, {})
    assert encoder.spectrogram is not None
    return encoder.spectrogram(encode_ready(encoder, trials.eeg[parts["train"]])), encoder


@pytest.mark.parametrize("whitening", ["none", "mvnn"])
@pytest.mark.parametrize("scaling", ["train", "window", "none"])
@pytest.mark.parametrize("average", ["none", "all"])
def test_stft_pictures_use_their_range_under_every_scaling(scaling, whitening, average):
    pictures, encoder = pictures_of(
        class_trials(), spectrogram="stft", scaling=scaling, whitening=whitening, average=average
    )
    assert ((pictures <= 0) | (pictures >= 1)).float().mean() < 0.05
    assert pictures.flatten(1).std(1).min() > 0.05
    config = encoder.spectrogram.config
    assert config.unit_v == (1e-6 if scaling == whitening == "none" else 1.0)


@pytest.mark.parametrize("gain", [1e-3, 1e6])
def test_recordings_in_another_unit_are_shown_too(gain):
    trials = class_trials()
    pictures, _ = pictures_of(
        type(trials)(**{**vars(trials), "eeg": trials.eeg * np.float32(gain)}), spectrogram="stft", scaling="none"
    )
    assert ((pictures <= 0) | (pictures >= 1)).float().mean() < 0.05


@pytest.mark.parametrize("scaling", ["train", "window", "none"])
def test_braincoders_pictures_are_of_many_colours_under_every_scaling(scaling):
    trials = class_trials(2, pictures=3)
    config = SpectrogramConfig(kind="braincoder", image_height=24, image_width=2)
    eeg = torch.as_tensor(trials.eeg) * (1e5 if scaling != "none" else 1)
    assert Spectrogram(config)(eeg).flatten(1).std(1).min() > 0.1
    assert fit_range(config, eeg) is config


def test_a_signal_that_is_flat_is_refused():
    with pytest.raises(ValueError, match="every training window is flat"):
        fit_range(SpectrogramConfig(sfreq=64.0), torch.zeros(4, 2, 64))
    sure = fit_range(SpectrogramConfig(sfreq=64.0), torch.ones(4, 2, 64))
    assert sure.max_db - sure.min_db >= 10
