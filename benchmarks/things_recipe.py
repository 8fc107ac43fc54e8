"""THINGS-EEG2's published preparation written out after the data set's own description, to be measured beside ours.

Epochs of MNE, resampled one by one; pictures sorted, the kept presentations drawn; each picture's covariance with
scikit-learn; sessions whitened by their training pictures, merged and pickled. Everything is held in memory.
"""

import pickle
from pathlib import Path

import numpy as np

from core.montage import MONTAGES

SEED, KEPT = 20200220, {"training": 2, "test": 20}
TARGET = 99999


def epochs_of(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return a raw file's epochs, float64 (n, 63, 250) in volts, 0 to 1 s at 250 Hz, and what was shown (n,)."""
    import mne

    held = np.load(path, allow_pickle=True).item()  # written by this benchmark
    info = mne.create_info(held["ch_names"], held["sfreq"], held["ch_types"], verbose="error")
    raw = mne.io.RawArray(held["raw_eeg_data"], info, verbose="error")
    del held
    events = mne.find_events(raw, stim_channel="stim", verbose="error")
    raw.pick(list(MONTAGES["things-63"]))
    events = events[events[:, 2] != TARGET]
    epochs = mne.Epochs(raw, events, tmin=-0.2, tmax=1.0, baseline=(None, 0), preload=True, verbose="error")
    del raw
    epochs.resample(250, verbose="error")
    return epochs.get_data()[:, :, 50:], epochs.events[:, 2]


def sorted_by_picture(epochs: np.ndarray, shown: np.ndarray, kept: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (pictures, presentations, 63, 250), so many of each picture as are kept, and the pictures' numbers."""
    from sklearn.utils import shuffle

    numbers = np.unique(shown)
    most = min(kept, int(np.bincount(shown).max()))
    found = np.zeros((len(numbers), most, *epochs.shape[1:]))
    for place, number in enumerate(numbers):
        rows = np.flatnonzero(shown == number)
        found[place] = epochs[shuffle(rows, random_state=SEED, n_samples=most)]
    return found, numbers


def whitener_of(pictures: np.ndarray) -> np.ndarray:
    """Return the inverse root of the mean over pictures and presentations of the shrunk covariance over time."""
    from scipy.linalg import fractional_matrix_power
    from sklearn.discriminant_analysis import _cov

    each = [np.mean([_cov(epoch.T, shrinkage="auto") for epoch in picture], axis=0) for picture in pictures]
    return fractional_matrix_power(np.mean(each, axis=0), -0.5)


def run(folder: Path, out: Path, subject: int = 1) -> None:
    """Prepare one person's sessions and pickle what comes out, as the recipe does; and session 1 in the order shown."""
    person = folder / "raw_eeg" / f"sub-{subject:02d}"
    white: dict[str, list[np.ndarray]] = {"training": [], "test": []}
    numbers = []
    for session in sorted(person.glob("ses-*")):
        parts = {}
        for part in ("test", "training"):
            epochs, shown = epochs_of(session / f"raw_eeg_{part}.npy")
            parts[part], of = sorted_by_picture(epochs, shown, KEPT[part])
            if part == "training":
                numbers.append(of)
            del epochs
        whitener = whitener_of(parts["training"])
        for part, pictures in parts.items():
            white[part].append((pictures.swapaxes(2, 3) @ whitener).swapaxes(2, 3))
    merged = {"test": np.concatenate(white["test"], axis=1)}
    shown = np.concatenate(numbers)
    stacked = np.concatenate(white["training"], axis=0)
    merged["training"] = np.stack(
        [np.concatenate(stacked[shown == number], axis=0) for number in np.unique(shown)]
    )  # of all sessions together
    for part, pictures in merged.items():
        with open(out / f"preprocessed_eeg_{part}.npy", "wb") as file:
            held = {"preprocessed_eeg_data": pictures, "ch_names": list(MONTAGES["things-63"]), "times": np.arange(300)}
            pickle.dump(held, file, protocol=4)


def reference(folder: Path, out: Path, subject: int = 1, session: int = 1, n: int = 300) -> None:
    """Save the first windows of a session's two parts, whitened, in the order in which they were shown."""
    place = folder / "raw_eeg" / f"sub-{subject:02d}" / f"ses-{session:02d}"
    epochs, shown = epochs_of(place / "raw_eeg_training.npy")
    whitener = whitener_of([epochs[shown == number] for number in np.unique(shown)])
    tested, _ = epochs_of(place / "raw_eeg_test.npy")
    np.savez(out, training=whitener @ epochs[:n], test=whitener @ tested[:n])
