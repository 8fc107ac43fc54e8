"""CHECKS: every leak check by name. Adding one is a file and a line here."""

from collections.abc import Callable, Iterable

from .check import Check
from .copies import averages, pictures, presentations, same_picture, same_recording, same_window
from .design import class_by_column, cue, interval, majority, order, position
from .leak_input import LeakInput
from .signal import before_picture, large_difference, locked, trigger_channel

CHECKS: dict[str, Callable[[LeakInput], Check]] = {
    class_by_column.BLOCK: class_by_column.check_block,
    class_by_column.FILE: class_by_column.check_file,
    class_by_column.PERSON: class_by_column.check_person,
    position.NAME: position.check_time,
    position.PLACE: position.check_position,
    order.NAME: order.check_order,
    interval.NAME: interval.check_interval,
    cue.NAME: cue.check_cue,
    majority.NAME: majority.check_majority,
    presentations.NAME: presentations.check_presentations,
    presentations.OVERLAP: presentations.check_overlap,
    pictures.NAME: pictures.check_pictures,
    pictures.CONCEPTS: pictures.check_concepts,
    same_picture.NAME: same_picture.check_same_picture,
    averages.NAME: averages.check_averages,
    same_recording.NAME: same_recording.check_same_recording,
    same_window.NAME: same_window.check_same_window,
    before_picture.NAME: before_picture.check_before_picture,
    trigger_channel.NAME: trigger_channel.check_trigger,
    locked.NAME: locked.check_locked,
    large_difference.NAME: large_difference.check_difference,
}


def run_checks(given: LeakInput, names: Iterable[str] | None = None) -> list[Check]:
    """Return the result of every check, or of those named. Raises ValueError listing the known for an unknown name."""
    chosen = list(CHECKS if names is None else names)
    if unknown := [name for name in chosen if name not in CHECKS]:
        raise ValueError(f"no leak check {unknown[0]!r}; known are {', '.join(CHECKS)}")
    if not len(given.trials) or not len(given.used):
        return [Check(name, None, None, "Could not be checked, because there are no trials.") for name in chosen]
    return [CHECKS[name](given) for name in chosen]
