"""What is known of the phantom alone: the scenes behind the trials and the ideal observer's scores."""

from dataclasses import replace

import numpy as np

from core.phantom.brain_config import BrainConfig
from core.phantom.observer import fit_observer
from core.phantom.scenes import Scene, scene_from_caption, scene_from_id, scenes_of_class
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.continuous import prepare_continuous
from core.preprocessing.trials import Trials
from core.preprocessing.windows import cut_windows
from core.recording import Recording

from ..datasets.phantom import brain_config


def scenes_named(name: str) -> list[Scene]:
    """Return the one scene of a caption or scene id, or the 18 of a class (`red star`, `a red star`).

    Raises ValueError naming the vocabulary where it is none of them.
    """
    if " " not in name:
        return [scene_from_id(name)]
    try:
        return [scene_from_caption(name)]
    except ValueError:
        return scenes_of_class(name)


def ideal_scores(
    test: Trials, gallery: list[str], config: PreprocessingConfig, provenance: dict, seed: int = 0
) -> np.ndarray:
    """Return the ideal observer's log likelihoods (n, n_gallery) for averaged test trials.

    gallery: captions, scene ids or classes. A class is scored by the mean likelihood of its 18 scenes, places and sizes
    being equally likely, so that the scores are its log posterior up to a constant. config: the store's preprocessing,
    through which the observer sees the same signals as the encoder.
    """
    members = [scenes_named(name) for name in gallery]
    scenes = list(dict.fromkeys(scene for of_one in members for scene in of_one))

    def cut(recording: Recording, onsets: np.ndarray) -> np.ndarray:
        return cut_windows(recording, onsets, config).data

    brain = brain_config(provenance)
    if brain.snr == 0:
        # Nothing was evoked, so every scene would tie; looking for responses of the usual size, the observer guesses.
        brain = replace(brain, snr=BrainConfig.snr)
    observer = fit_observer(brain, scenes, lambda recording: prepare_continuous(recording, config), cut, seed)
    scores = np.zeros((len(test), len(gallery)))
    for count in np.unique(test.repeats):
        rows = test.repeats == count
        likelihood = observer.scores(np.asarray(test.eeg[rows]), n_repeats=int(count))
        for i, of_one in enumerate(members):
            single = likelihood[:, [scenes.index(scene) for scene in of_one]]
            scores[rows, i] = np.logaddexp.reduce(single, axis=1) - np.log(len(of_one))
    return scores
