"""Small trials with a known class signal, for tests of training; made up, never shown as data."""

import numpy as np

from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.trials import Trials, build_trials
from trainer.datasets.phantom import PhantomOptions

CONFIG = PreprocessingConfig(ch_names=("O1", "O2", "P7", "P8"), sfreq=64.0, tmin=0.0, tmax=0.5)
FOUR_CLASSES = PhantomOptions(
    classes=4, train_scenes=12, val_scenes=4, test_scenes=4, train_repeats=2, val_repeats=2, test_repeats=2
)


def class_trials(
    n_classes: int = 4, pictures: int = 6, repeats: int = 3, strength: float = 1.0, seed: int = 0, held: int = 1
) -> Trials:
    """Return trials of pictures of classes, each class with a pattern of its own in noise.

    held: how many pictures of each class validate, and as many test.
    """
    rng = np.random.default_rng(seed)
    slow = np.cos(np.pi * np.outer(np.arange(1, 6), (np.arange(CONFIG.n_times) + 0.5) / CONFIG.n_times))
    patterns = rng.standard_normal((n_classes, len(CONFIG.ch_names), len(slow))) @ slow
    eeg, rows = [], []
    for label in range(n_classes):
        for picture in range(pictures):
            for repeat in range(repeats):
                eeg.append(strength * patterns[label] + rng.standard_normal(patterns[label].shape))
                split = {0: "val", 1: "test"}.get(picture // held, "train")
                rows.append(
                    {"label": f"class {label}", "image_id": f"{label}-{picture}", "split": split, "subject": "s",
                     "run": f"run {repeat}", "onset": float(len(rows))}
                )  # fmt: skip
    return build_trials((1e-5 * np.array(eeg)).astype(np.float32), rows)
