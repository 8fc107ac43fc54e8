"""What the sessions of a store are whitened by: a covariance each, fitted when the store was made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.files import write_atomically
from core.preprocessing.normaliser import Normaliser, whitener_of

COVARIANCES = "covariances"


@dataclass(frozen=True, eq=False)
class Whitening:
    """Covariances of sessions by name (person/session), float64 (n_channels, n_channels) in square volts.

    ch_names: of their rows. by: how they were fitted, "epochs" or "time".
    """

    ch_names: tuple[str, ...]
    covariances: Mapping[str, np.ndarray]
    by: str

    def normaliser(self, ch_names: Sequence[str], sessions: Sequence[str]) -> Normaliser:
        """Return a normaliser that whitens some of the channels: by the mean of these sessions' covariances, and each
        of these sessions by its own.

        Raises ValueError where a session has none.
        """
        if unknown := sorted(set(sessions) - set(self.covariances)):
            raise ValueError(f"the store keeps no covariance of {unknown[:4]}; use --whitening mvnn")
        rows = np.array([self.ch_names.index(name) for name in ch_names])
        own = {name: self.covariances[name][np.ix_(rows, rows)] for name in sorted(set(sessions))}
        center, scale = np.zeros(len(rows), np.float32), np.ones(len(rows), np.float32)
        pooled = whitener_of(np.mean(list(own.values()), axis=0))
        each = {name: Normaliser(center, scale, whitener_of(sigma)) for name, sigma in own.items()}
        return Normaliser(center, scale, pooled, each)


def write_covariance(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a session's `covariance` (n_channels, n_channels), with `session` and `by` as text, atomically."""
    from safetensors.numpy import save_file

    texts = {name: str(arrays[name]) for name in ("session", "by")}
    with write_atomically(path) as beside:
        save_file({"covariance": np.ascontiguousarray(arrays["covariance"], dtype=np.float64)}, beside, metadata=texts)


def read_whitening(folder: Path, keys: Sequence[str], ch_names: Sequence[str]) -> Whitening | None:
    """Return what a store's recordings are whitened by; None where they were prepared without.

    Raises ValueError where a file is damaged or some recordings have one and others none.
    """
    from safetensors import SafetensorError, safe_open

    paths = [folder / COVARIANCES / f"{key}.safetensors" for key in keys]
    there = [path for path in paths if path.is_file()]
    if not there:
        return None
    if len(there) < len(paths):
        raise ValueError(
            f"{folder}: {len(paths) - len(there)} of {len(paths)} recordings have no covariance; prepare it anew"
        )
    found, kinds = {}, set()
    for path in there:
        try:
            with safe_open(path, framework="numpy") as file:
                about, covariance = file.metadata() or {}, file.get_tensor("covariance")
            if covariance.shape != (len(ch_names),) * 2:
                raise ValueError(f"a covariance of {covariance.shape}")
            found[about["session"]] = covariance
            kinds.add(about["by"])
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise ValueError(f"{path} is damaged ({error}); prepare the store anew") from error
    return Whitening(tuple(ch_names), found, "/".join(sorted(kinds)))
