"""Small untrained encoders for tests of everything around them; never shown as models."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from core.conditioning.conditioning import Conditioning, condition
from core.evidence.kept import AVERAGED, QUANTILES, Evidence
from core.fitting.evidence import fit_evidence
from core.model.checkpoint import EegEncoder
from core.model.confidence import Confidence
from core.model.decodable import decodable
from core.model.heads import HeadConfig
from core.model.prediction import encoder_input
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.continuous import prepare_continuous
from core.preprocessing.normaliser import Normaliser
from core.preprocessing.selection import Selection
from core.preprocessing.windows import cut_windows
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
    encoder.evidence = evidence_of_noise(encoder.spaces)
    return encoder.eval()


@lru_cache
def evidence_of_noise(spaces: tuple[str, ...]) -> Evidence:
    """What an encoder keeps that was trained on sittings like `noise_recording`: they hold no response, so a recording
    is judged by how like them it is, and by answers that are always far surer than where nothing was shown.
    """
    config, windows = small_preprocessing(), []
    for seed in range(4):
        prepared = prepare_continuous(noise_recording(seed=100 + seed), config)
        windows.append(cut_windows(prepared, np.arange(0.5, 10.5, 0.8), config).data)
    run = np.repeat(np.arange(4), [len(one) for one in windows])
    found = fit_evidence(np.concatenate(windows), run, config)
    assert found is not None
    assert not found.locked
    scores = np.stack([np.full((len(AVERAGED), QUANTILES), -1e3), np.zeros((len(AVERAGED), QUANTILES))])
    scores[0] += np.linspace(-1, 1, QUANTILES)
    scored = ((100,) * len(AVERAGED),) * 2
    return replace(found, guess_p=dict.fromkeys(spaces, 0.001), scores=scores.astype(np.float32), scored=scored)


def conditioned(encoder: EegEncoder, selection: Selection, **how) -> Conditioning:
    """What one head says of the selected windows: the whole way from a recording."""
    averaged = [len(group) for group in selection.groups]
    judged = decodable(encoder, selection)
    return condition(encoder, encoder_input(selection, encoder), decodable=judged, averaged=averaged, **how)


def noise_recording(n_channels: int = 8, seconds: float = 12.0, sfreq: float = 128.0, seed: int = 0) -> Recording:
    rng = np.random.default_rng(seed)
    data = (1e-5 * rng.standard_normal((n_channels, round(seconds * sfreq)))).astype(np.float32)
    events = tuple(Event(1.0 + 1.5 * i, 0.2, "face" if i % 2 else "house") for i in range(6))
    return Recording(data, sfreq, CHANNELS[:n_channels], None, events)
