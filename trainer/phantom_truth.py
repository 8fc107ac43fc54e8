"""What is known of the phantom alone: the scenes behind the trials and the ideal observer's scores."""

from dataclasses import replace

import numpy as np

from core.phantom.brain import BrainConfig
from core.phantom.observer import fit_observer
from core.phantom.scenes import Scene, scene_from_caption, scene_from_id
from core.preprocessing import PreprocessingConfig, cut_windows, prepare_continuous
from core.recording import Recording
from core.trials import Trials

from .datasets.phantom import brain_config


def scenes_of(names: list[str]) -> list[Scene]:
    """Return the scenes of captions or scene ids."""
    return [scene_from_caption(name) if " " in name else scene_from_id(name) for name in names]


def ideal_scores(
    test: Trials, gallery: list[str], config: PreprocessingConfig, provenance: dict, seed: int = 0
) -> np.ndarray:
    """Return the ideal observer's log likelihoods (n, n_gallery) for averaged test trials.

    gallery: captions or scene ids. config: the store's preprocessing, through which the observer sees the same signals
    as the encoder.
    """

    def cut(recording: Recording, onsets: np.ndarray) -> np.ndarray:
        return cut_windows(recording, onsets, config).data

    brain = brain_config(provenance)
    if brain.snr == 0:
        # Nothing was evoked, so every scene would tie; looking for responses of the usual size, the observer guesses.
        brain = replace(brain, snr=BrainConfig.snr)
    observer = fit_observer(
        brain, scenes_of(gallery), lambda recording: prepare_continuous(recording, config), cut, seed
    )
    scores = np.zeros((len(test), len(gallery)))
    for count in np.unique(test.repeats):
        rows = test.repeats == count
        scores[rows] = observer.scores(np.asarray(test.eeg[rows]), n_repeats=int(count))
    return scores
