"""Small untrained encoders for tests of everything around them; never shown as models."""

import numpy as np
import torch

from core.conditioning.conditioning import Conditioning, condition
from core.model.checkpoint import EegEncoder
from core.model.confidence import Confidence
from core.model.heads import HeadConfig
from core.model.prediction import encoder_input
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.normaliser import Normaliser
from core.preprocessing.selection import Selection
from core.recording import Event, Recording

CHANNELS = ("AF3", "F7", "T7", "O1", "O2", "T8", "F8", "AF4")


def small_preprocessing(**changes) -> PreprocessingConfig:
    values = {"ch_names": CHANNELS, "sfreq": 128.0, "tmin": 0.0, "tmax": 1.0, "l_freq": 1.0, "h_freq": 40.0}
    return PreprocessingConfig(**{**values, **changes})


def small_encoder(*heads: HeadConfig, architecture: str = "nice", config: dict | None = None) -> EegEncoder:
    torch.manual_seed(0)
    preprocessing = small_preprocessing()
    sizes = {"n_channels": len(CHANNELS), "n_times": preprocessing.n_times}
    encoder = EegEncoder(
        preprocessing,
        Normaliser(np.zeros(8, np.float32), np.full(8, 1e-5, np.float32)),
        architecture,
        {**(config if config is not None else {"kernel": 9, "pool": 9, "n_filters": 6}), **sizes},
        list(heads or (HeadConfig("prompts", "prompts", prompts=("a face", "a house")),)),
        card={"name": "untrained, for tests"},
    )
    for head in encoder.heads:
        if head.config.kind != "prompts":
            head.set_target(torch.randn(40, head.config.n_values))
    encoder.confidence = {encoder.spaces[0]: Confidence(1.5, -0.2, 0.5, 40)}
    return encoder.eval()


def conditioned(encoder: EegEncoder, selection: Selection, **how) -> Conditioning:
    """What one head says of the selected windows: the whole way from a recording."""
    return condition(encoder, encoder_input(selection, encoder), **how)


def noise_recording(n_channels: int = 8, seconds: float = 12.0, sfreq: float = 128.0, seed: int = 0) -> Recording:
    rng = np.random.default_rng(seed)
    data = (1e-5 * rng.standard_normal((n_channels, round(seconds * sfreq)))).astype(np.float32)
    events = tuple(Event(1.0 + 1.5 * i, 0.2, "face" if i % 2 else "house") for i in range(6))
    return Recording(data, sfreq, CHANNELS[:n_channels], None, events)
