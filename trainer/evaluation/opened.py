"""A run's test split is opened: written down, and said where it had been opened before."""

from ..store.openings import earlier_openings, note_opening, opened_before
from .decoding_report import Evaluated, weights_hash


def note_test_opening(evaluated: Evaluated) -> str:
    """Write beside the store that this run opened its test split; print and return what was opened before."""
    card, store = evaluated.encoder.card, evaluated.store.folder
    split, weights = str(card.get("split", "")).split(" ")[0], weights_hash(evaluated.encoder)
    told = opened_before(earlier_openings(store, split), weights)
    failed = note_opening(store, split, evaluated.run.resolve().name, weights, "evaluate")
    for sentence in (told, failed):
        if sentence:
            print(sentence)
    return told
