"""Whitening and robust scale, fitted on training windows only and applied to any."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ..covariances import covariances
from .config import PreprocessingConfig

# the interquartile range of a normal distribution, in standard deviations
_IQR_OF_NORMAL = 1.3489795
_MOST_VALUES = 4_000_000


@dataclass(frozen=True, eq=False)
class Normaliser:
    """What was fitted on training windows, all float32: `center` and `scale` (n_channels,), `whitener` (n_channels)².

    The whitener turns volts to unit variance and comes first; centre and scale are those of whitened windows then.
    sessions: those of each training session by itself, where they were asked for (`session_normaliser.by_sessions`).
    """

    center: np.ndarray
    scale: np.ndarray
    whitener: np.ndarray | None = None
    sessions: Mapping[str, Normaliser] = field(default_factory=dict)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, float32, as an encoder file holds them; those of sessions lie above one another.

        The sessions' names are not among them, they go into the file's header in the same order.
        """
        arrays = {"center": self.center, "scale": self.scale, "whitener": self.whitener}
        for name in tuple(arrays) if self.sessions else ():
            own = [getattr(one, name) for one in self.sessions.values()]
            arrays[f"sessions.{name}"] = None if own[0] is None else np.stack(own)
        return {
            name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items() if array is not None
        }

    @staticmethod
    def from_arrays(arrays: dict[str, Any], sessions: Sequence[str] = ()) -> Normaliser:
        """Return the normaliser that `to_arrays` gave (torch tensors do too); ValueError where shapes disagree."""
        if missing := [name for name in ("center", "scale") if name not in arrays]:
            raise ValueError(f"a normaliser needs 'center' and 'scale'; {missing} missing from {sorted(arrays)}")
        center, scale = (np.asarray(arrays[name], dtype=np.float32) for name in ("center", "scale"))
        whitener = arrays.get("whitener")
        whitener = None if whitener is None else np.ascontiguousarray(np.asarray(whitener, dtype=np.float32))
        n = center.shape[0] if center.ndim == 1 else -1
        if n < 0 or scale.shape != (n,) or (whitener is not None and whitener.shape != (n, n)):
            shapes = {name: tuple(np.shape(value)) for name, value in arrays.items()}
            raise ValueError(f"a normaliser's arrays disagree: {shapes}")
        stacked = {
            name.partition(".")[2]: np.asarray(value) for name, value in arrays.items() if name.startswith("sessions.")
        }
        own = {
            session: Normaliser.from_arrays({name: value[row] for name, value in stacked.items()})
            for row, session in enumerate(sessions)
        }
        return Normaliser(center, scale, whitener, own)


def fit_normaliser(eeg: Any, config: PreprocessingConfig, labels: Any = None) -> Normaliser:
    """Fit what `config.scaling` and `config.whitening` ask for on training windows (n, n_channels, n_times) in volts.

    `labels` (n,) make whitening weigh every class alike. Give training windows only: a test window seen here leaks.
    Raises ValueError on a wrong shape, no windows, or numbers that are not finite.
    """
    n_channels = len(config.ch_names)
    if len(np.shape(eeg)) != 3 or eeg.shape[1] != n_channels or not len(eeg):
        raise ValueError(f"training windows must be (n, {n_channels}, n_times) with n > 0; got {tuple(np.shape(eeg))}")
    whitener = None
    if config.whitening == "mvnn":
        whitener = _mvnn(eeg, None if labels is None else np.asarray(labels))
    center, scale = np.zeros(n_channels, np.float32), np.ones(n_channels, np.float32)
    if config.scaling == "train":
        # a quantile needs no more than a few million values; windows spread evenly over all stand for them
        step = max(1, len(eeg) * eeg.shape[2] // _MOST_VALUES)
        seen = _whiten(np.ascontiguousarray(eeg[::step], dtype=np.float32), whitener)
        if not np.isfinite(seen).all():
            raise ValueError("training windows hold samples that are not numbers (NaN)")
        for i in range(n_channels):
            middle, spread = _median_and_spread(seen[:, i].reshape(1, -1))
            center[i], scale[i] = middle[0], spread[0]
    return Normaliser(center, _safe(scale), whitener)


def normalise(eeg: Any, config: PreprocessingConfig, normaliser: Normaliser) -> Any:
    """Whiten, centre, scale and clip windows (n, n_channels, n_times) or one (n_channels, n_times) in volts.

    Returns float32 of the same shape, bit for bit the same for a window alone and in a batch; a torch tensor comes
    back as one on its device, without gradient. Raises ValueError where the channels are not the normaliser's.
    """
    if isinstance(eeg, torch.Tensor):
        done = normalise(eeg.detach().cpu().numpy(), config, normaliser)
        return torch.from_numpy(done).to(eeg.device)
    eeg = np.ascontiguousarray(eeg, dtype=np.float32)
    if eeg.ndim < 2 or eeg.shape[-2] != len(normaliser.center):
        raise ValueError(f"windows of shape {eeg.shape} do not have the normaliser's {len(normaliser.center)} channels")
    eeg = _whiten(eeg, normaliser.whitener)
    if config.scaling == "window":
        center, scale = _median_and_spread(eeg)
        eeg = (eeg - center[..., None]) / _safe(scale)[..., None]
    elif config.scaling == "train":
        eeg = (eeg - normaliser.center[:, None]) / normaliser.scale[:, None]
    else:
        eeg = eeg.copy()  # clipping must not reach the caller's windows
    if config.clip is not None:
        np.clip(eeg, -config.clip, config.clip, out=eeg)
    return eeg


def _whiten(eeg: np.ndarray, whitener: np.ndarray | None) -> np.ndarray:
    return eeg if whitener is None else np.matmul(whitener, eeg)


def _median_and_spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return median and IQR in normal standard deviations along the last axis, in float32 whatever numpy's version."""
    ordered = np.sort(values, axis=-1)
    last = ordered.shape[-1] - 1

    def quantile(share: float) -> np.ndarray:
        below = int(share * last)
        step = np.float32(share * last - below)
        low = ordered[..., below]
        return low + (ordered[..., min(below + 1, last)] - low) * step

    return quantile(0.5), (quantile(0.75) - quantile(0.25)) / np.float32(_IQR_OF_NORMAL)


def _safe(scale: np.ndarray) -> np.ndarray:
    """Return scales without zeros: a channel that never moves stays at zero and does not blow up."""
    return np.where(scale > 0, scale, np.float32(1.0)).astype(np.float32)


def _mvnn(eeg: Any, labels: np.ndarray | None) -> np.ndarray:
    """Return the whitening matrix Sigma^-1/2 (n_channels, n_channels) float32 for volts.

    Multivariate noise normalisation, Guggenmos, Sterzer & Cichy 2018 (NeuroImage 173:434), "epoch" method: Sigma is
    the mean over trials of each trial's covariance over time, shrunk as Ledoit & Wolf 2004 do.
    """
    groups = np.zeros(len(eeg), int) if labels is None else np.unique(labels, return_inverse=True)[1].ravel()
    if len(groups) != len(eeg):
        raise ValueError(f"{len(groups)} labels for {len(eeg)} windows")
    sums = np.zeros((groups.max() + 1, eeg.shape[1], eeg.shape[1]))
    for at in range(0, len(eeg), 256):
        shrunk = covariances(torch.from_numpy(np.asarray(eeg[at : at + 256], dtype=np.float64)), "lwf").numpy()
        if not np.isfinite(shrunk).all():
            raise ValueError("training windows hold samples that are not numbers (NaN)")
        np.add.at(sums, groups[at : at + 256], shrunk)
    return whitener_of((sums / np.bincount(groups)[:, None, None]).mean(axis=0))


def whitener_of(sigma: np.ndarray) -> np.ndarray:
    """Return the symmetric inverse root of a covariance (n_channels, n_channels), float32."""
    values, vectors = np.linalg.eigh(sigma)
    values = np.maximum(values, values[-1] * 1e-9)
    return np.ascontiguousarray((vectors / np.sqrt(values)) @ vectors.T, dtype=np.float32)
