"""Majority class: is a score above guessing had by always naming the commonest class?"""

import numpy as np

from ..check import Check, not_checked
from ..leak_input import LeakInput

NAME = "majority class"
TIMES, MOST_OF_TWO = 2.0, 0.85  # the commonest class over an equal guess; its share of two


def check_majority(given: LeakInput) -> Check:
    """Check that always naming the commonest class is not twice as good as an equal guess among the classes."""
    label = given.trials.label[given.used]
    classes, counts = np.unique(label, return_counts=True)
    if len(classes) < 2:
        name = given.trials.labels[int(classes[0])] if len(classes) else "none"
        return not_checked(NAME, f"all trials are of one class ({name})")
    share, guess = float(counts.max() / counts.sum()), 1 / len(classes)
    name = given.trials.labels[int(classes[counts.argmax()])]
    figures = f"{name!r} is {share:.1%} of the trials"
    # of two classes one cannot be twice as frequent as guessed; oddball designs have one in five or six
    lopsided = share > TIMES * guess if len(classes) > 2 else share > MOST_OF_TWO
    lopsided &= counts.max() - counts.sum() * guess > 3 * np.sqrt(counts.sum() * guess * (1 - guess))
    if lopsided:
        return Check(
            NAME, False, share, f"{figures}: an accuracy of {share:.1%} is had without EEG. Read balanced scores."
        )
    return Check(NAME, True, share, f"{figures}, {guess:.1%} would be even.")
