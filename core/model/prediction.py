"""From windows in volts to an encoder's raw outputs."""

import numpy as np
import torch
from torch import Tensor

from ..preprocessing.normaliser import normalise
from ..preprocessing.selection import Selection, selected_eeg
from .checkpoint import EegEncoder


def encode_ready(encoder: EegEncoder, eeg: np.ndarray) -> Tensor:
    """Return windows in volts (n, channels, times) as the normalised float32 tensor the encoder takes."""
    return torch.as_tensor(normalise(np.asarray(eeg), encoder.preprocessing, encoder.normaliser), dtype=torch.float32)


@torch.inference_mode()
def predict(encoder: EegEncoder, eeg: np.ndarray, batch: int = 256) -> dict[str, Tensor]:
    """Return each head's raw outputs for windows in volts (n, channels, times), in eval mode."""
    encoder.eval()
    device = next(encoder.heads.parameters()).device
    found: dict[str, list[Tensor]] = {space: [] for space in encoder.spaces}
    for start in range(0, len(eeg), batch):
        outputs = encoder(encode_ready(encoder, eeg[start : start + batch]).to(device))
        for space, output in outputs.items():
            found[space].append(output.cpu())
    return {space: torch.cat(parts) for space, parts in found.items()}


@torch.no_grad()
def tokens_of(encoder: EegEncoder, eeg: np.ndarray, batch: int = 256) -> Tensor:
    """Return the backbone's tokens (n, n_tokens, width) for windows in volts (n, channels, times), in eval mode."""
    encoder.eval()
    device = next(encoder.heads.parameters()).device
    found = [torch.zeros(0, encoder.backbone.n_tokens, encoder.backbone.width)]
    for start in range(0, len(eeg), batch):
        found.append(encoder.tokens(encode_ready(encoder, eeg[start : start + batch]).to(device)).float().cpu())
    return torch.cat(found)


def encoder_input(selection: Selection, encoder: EegEncoder):
    """Return the selected windows as the normalised tensor (n, channels, times) the encoder takes, on its device."""
    from .prediction import encode_ready

    parameter = next(encoder.parameters())
    eeg = encode_ready(encoder, selected_eeg(selection, encoder.preprocessing))
    return eeg.to(parameter.device, parameter.dtype)
