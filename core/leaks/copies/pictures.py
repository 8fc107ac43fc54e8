"""Pictures and concepts in two parts of the split, by name."""

import numpy as np

from ..check import Check, not_checked
from ..leak_input import LeakInput

NAME, CONCEPTS = "test pictures", "test concepts"


def check_pictures(given: LeakInput) -> Check:
    """Check that no test picture was shown in training or validation, in any repetition and to any person."""
    if "test" not in given.rows:
        return not_checked(NAME, "nothing is held out here")
    image_id = given.trials.image_id
    test = np.unique(image_id[given.rows["test"]])
    if (image_id == np.array(given.trials.labels)[given.trials.label]).all():
        # build_trials puts the label where a table has no image_id
        return not_checked(NAME, "the data do not name their pictures")
    met = {part: np.intersect1d(test, image_id[rows]) for part, rows in given.rows.items() if part != "test"}
    seen = len(set().union(*(found.tolist() for found in met.values())))
    if not seen:
        return Check(NAME, True, 0.0, f"None of the {len(test)} test pictures was shown in training or validation.")
    where = " and ".join(f"{len(found)} in {part}" for part, found in met.items() if len(found))
    sentence = (
        f"{seen} of {len(test)} test pictures were shown outside the test too ({where}): their repeats are split."
    )
    return Check(NAME, False, seen / len(test), sentence)


def check_concepts(given: LeakInput) -> Check:
    """Check that test classes are all new (zero-shot) or all trained on (classification), never some of each."""
    if "test" not in given.rows or "train" not in given.rows:
        return not_checked(CONCEPTS, "nothing is held out here")
    train, test = (np.unique(given.trials.label[given.rows[part]]) for part in ("train", "test"))
    shared = np.intersect1d(train, test)
    share = len(shared) / len(test)
    if not len(shared):
        sentence = f"None of the {len(test)} test concepts was trained on."
    elif len(shared) == len(test):
        sentence = (
            f"All {len(test)} test classes were trained on: this is classification of known classes, not of new ones."
        )
    else:
        few = ", ".join(str(given.trials.labels[i]) for i in shared[:3]) + (" …" if len(shared) > 3 else "")
        sentence = f"{len(shared)} of {len(test)} test concepts were trained on ({few}) and the rest were not."
    return Check(CONCEPTS, share in (0.0, 1.0), share, sentence)
