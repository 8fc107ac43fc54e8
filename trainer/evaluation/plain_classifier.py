"""The baseline to beat: a plain classifier of the EEG, fitted in closed form, whose class name becomes the prompt.

NeuroImagen's own table 3 says that the class label carries the score. So whatever draws from EEG has to be read beside
a picture drawn from the name of a class that a linear classifier found.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d, one_hot

from core.fitting.closed_form import ALPHAS
from core.fitting.ridge import RidgeFit, fit_ridge
from core.model.prediction import encode_ready, tokens_of
from core.preprocessing.trials import Trials

from ..training.splits import trials_at_use, trials_in_training
from .decoding_report import Evaluated

N_BINS = 32
N_FOLDS = 5
TEMPLATE = "an image of {}"  # the paper's label caption


def label_captions(trials: Trials, template: str = TEMPLATE) -> np.ndarray:
    """Return a caption for each trial (n,) that tells its label and no more: the store's own where it is the label's
    only one, else the template with the label's name.
    """
    captions = []
    for number, label in enumerate(trials.labels):
        own = np.unique(trials.caption[trials.label == number])
        captions.append(str(own[0]) if len(own) == 1 else template.format(label))
    return np.array(captions)[trials.label]


def classify_plainly(evaluated: Evaluated, test: Trials) -> tuple[np.ndarray, str]:
    """Return the label number of each test trial (n,) by ridge regression to the class labels, and from what.

    From the EEG in bins of time or from the run's own features, whichever is right more often on the validation trials
    (the EEG where there are none), fitted on the run's training trials.
    """
    options, encoder, trials = evaluated.options.data, evaluated.encoder, evaluated.trials
    train = trials_in_training(trials, evaluated.parts["train"], options)
    val = trials_at_use(trials, evaluated.parts["val"], options)
    n_bins = min(N_BINS, encoder.preprocessing.n_times)
    readers: dict[str, Callable[[np.ndarray], Tensor]] = {
        "EEG": lambda eeg: adaptive_avg_pool1d(encode_ready(encoder, eeg), n_bins).flatten(1),
        "the run's features": lambda eeg: tokens_of(encoder, eeg).flatten(1),
    }
    wanted = one_hot(torch.from_numpy(train.label), len(trials.labels)).double()
    pictures = torch.from_numpy(np.unique(train.image_id, return_inverse=True)[1].reshape(-1) % N_FOLDS)
    best, found = -1.0, (np.zeros(0, dtype=np.int64), "")
    for name, read in readers.items():
        features = read(train.eeg).double()
        mean, spread = features.mean(0), features.std(0).clamp(min=1e-9)
        fitted = fit_ridge((features - mean) / spread, wanted, ALPHAS, pictures)

        def says(
            eeg: np.ndarray,
            read: Callable[[np.ndarray], Tensor] = read,
            mean: Tensor = mean,
            spread: Tensor = spread,
            fitted: RidgeFit = fitted,
        ) -> np.ndarray:
            return ((read(eeg).double() - mean) / spread @ fitted.weights + fitted.bias).argmax(1).numpy()

        right = float((says(val.eeg) == val.label).mean()) if len(val) else 0.0
        if right > best:
            best, found = right, (says(test.eeg), name)
    return found
