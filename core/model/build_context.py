"""From a preprocessing to what an architecture is told when it is built."""

import torch

from ..encoders import BuildContext
from ..preprocessing.config import PreprocessingConfig
from .spectrogram import Spectrogram, SpectrogramConfig


def context_of(
    preprocessing: PreprocessingConfig,
    spectrogram: SpectrogramConfig | None = None,
    subjects: tuple[str, ...] = (),
    n_classes: int = 0,
) -> BuildContext:
    """Return the context of windows that a preprocessing cuts, read as they are or as a spectrogram's pictures."""
    n_channels, n_times, picture = len(preprocessing.ch_names), preprocessing.n_times, None
    if spectrogram is not None:
        channels, height, width = Spectrogram(spectrogram)(torch.zeros(1, n_channels, n_times)).shape[1:]
        picture = (channels, height, width)
    return BuildContext(
        n_channels,
        n_times,
        preprocessing.sfreq,
        preprocessing.ch_names,
        preprocessing.ch_positions,
        subjects,
        n_classes,
        picture,
    )
