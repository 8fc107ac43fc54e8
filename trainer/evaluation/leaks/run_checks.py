"""Leak checks of a trained run: what was fitted to the test, chosen by it, or is twice in its gallery."""

import json

import numpy as np

from core.leaks.check import Check, not_checked
from core.preprocessing.normaliser import fit_normaliser

from ..decoding_report import Evaluated
from .store_checks import store_checks

FITTED, CHOSEN, GALLERY = "fitted to test trials", "checkpoint chosen by test trials", "gallery with duplicates"
CLOSER = 0.5  # how much nearer a normaliser of training and test has to lie than one of training alone
ALIKE = 0.9999  # cosine of two targets that are one
MAX_TRIALS = 4000


def checks_of_run(evaluated: Evaluated) -> list[Check]:
    """Return every leak check of an evaluated run: those of its store and split, and its own."""
    images = evaluated.options.targets.images
    return [
        *store_checks(evaluated.store, evaluated.whole, evaluated.parts, images),
        check_fitted(evaluated),
        check_chosen(evaluated),
        check_gallery(evaluated),
    ]


def check_fitted(evaluated: Evaluated) -> Check:
    """Check that scaling and whitening are those of the training trials, not those of training and test together."""
    encoder, trials, parts = evaluated.encoder, evaluated.trials, evaluated.parts
    config = encoder.preprocessing
    if config.scaling != "train" and config.whitening == "none":
        return Check(FITTED, True, 0.0, "Nothing is scaled or whitened by statistics of trials.")
    if evaluated.options.stages.finetune.file is not None or encoder.normaliser.sessions:
        return not_checked(FITTED, "the normaliser was fitted to other data, or session by session")
    own = _numbers(encoder.normaliser)
    rng = np.random.default_rng(3)

    def fitted_to(*names: str) -> np.ndarray:
        rows = np.sort(np.concatenate([parts[name] for name in names]))
        rows = rows if len(rows) <= MAX_TRIALS else np.sort(rng.permutation(rows)[:MAX_TRIALS])
        return _numbers(fit_normaliser(np.asarray(trials.eeg[rows]), config, trials.label[rows]))

    honest = min(_apart(own, fitted_to(*names)) for names in (("train",), ("train", "val")))
    leaky = min(_apart(own, fitted_to(*names)) for names in (("train", "val", "test"), ("train", "test"), ("test",)))
    figures = f"{honest:.2g} from the training trials', {leaky:.2g} from one that saw the test"
    if leaky < CLOSER * honest:
        return Check(FITTED, False, honest, f"The encoder's scaling is that of training and test together ({figures}).")
    return Check(FITTED, True, honest, f"The encoder's scaling is that of its training trials ({figures}).")


def check_chosen(evaluated: Evaluated) -> Check:
    """Check that the weights kept were chosen by validation trials, none of which is tested."""
    shared = np.intersect1d(evaluated.parts["val"], evaluated.parts["test"])
    if len(shared):
        return Check(CHOSEN, False, float(len(shared)), f"{len(shared)} test trials chose the checkpoint.")
    path = evaluated.run / "metrics.jsonl"
    if not path.is_file():
        return Check(CHOSEN, True, 0.0, "Nothing was chosen: the encoder was fitted in closed form.")
    columns: set[str] = set()
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.strip():
            columns |= set(json.loads(line))
    if tested := sorted(name for name in columns if name.startswith("test")):
        return Check(CHOSEN, False, 1.0, f"The training watched test trials ({', '.join(tested)} in metrics.jsonl).")
    how = "by validation trials" if len(evaluated.parts["val"]) else "by no trials: the last epoch's weights are kept"
    return Check(CHOSEN, True, 0.0, f"The checkpoint was chosen {how}.")


def check_gallery(evaluated: Evaluated) -> Check:
    """Check that no two entries of the test gallery are the same target: a hit on either is luck or counted wrong."""
    spaces = [space for space in evaluated.encoder.spaces if evaluated.encoder.head(space).config.kind != "prompts"]
    if not spaces:
        return Check(GALLERY, True, 0.0, "Nothing is retrieved from a gallery.")
    n = 0
    for space in spaces:
        target = evaluated.targets[space]
        rows = np.unique(target.rows(evaluated.test))
        values = target.values[rows].double().flatten(1).numpy()
        values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
        alike = np.triu(values @ values.T > ALIKE, 1) if len(values) <= MAX_TRIALS else np.zeros((1, 1), bool)
        if alike.any():
            a, b = (int(i[0]) for i in np.nonzero(alike))
            names = [target.names[row] for row in (rows[a], rows[b])]
            told = f"{int(alike.sum())} pairs of the {len(values)} targets of {space} are one ({names[0]} = {names[1]})"
            return Check(
                GALLERY,
                False,
                float(alike.sum()),
                f"{told}: the score counts a hit on the twin as a miss or a find by luck.",
            )
        n += len(values)
    return Check(GALLERY, True, 0.0, f"The {n} targets of the gallery differ.")


def _numbers(normaliser: object) -> np.ndarray:
    from dataclasses import fields, is_dataclass

    assert is_dataclass(normaliser)
    found = []
    for field in fields(normaliser):
        value = getattr(normaliser, field.name)
        if isinstance(value, np.ndarray) or hasattr(value, "numpy"):
            found.append(np.asarray(value, dtype=np.float64).ravel())
    return np.concatenate(found) if found else np.zeros(0)


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-300)) if a.shape == b.shape else np.inf
