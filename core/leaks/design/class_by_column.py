"""Class against recording block, file, person: each of these columns, as a plain classifier sees it."""

import numpy as np

from ..check import ALPHA, Check, not_checked
from ..leak_input import LeakInput
from .columns import pair, told_by
from .sequence import MIN_TRIALS, first_of_each_list

BLOCK, FILE, PERSON = "class against recording block", "class against recording", "class against person"


def check_block(given: LeakInput) -> Check:
    """Check whether the block or run tells the class ("class = recording block"; Li et al. 2021, "The perils and
    pitfalls of block design for EEG classification experiments").
    """
    named = any((getattr(given.trials, column) != "").any() for column in ("session", "run", "block"))
    if not named and given.recording is None:
        return not_checked(BLOCK, "the data name no recording blocks or runs")
    # by name too: a block of that name in every run
    by_name = [given.unit, *(getattr(given.trials, c) for c in ("session", "run", "block"))]
    return _check(given, BLOCK, by_name, "recording block", "slow drift")


def check_file(given: LeakInput) -> Check:
    """Check whether the file that a trial was cut from tells its class."""
    if given.recording is None and not (given.trials.run != "").any():
        return not_checked(FILE, "it is not known which recording a trial comes from")
    return _check(given, FILE, [given.file], "recording", "what differs between recordings")


def check_person(given: LeakInput) -> Check:
    """Check whether who was recorded tells the class: a decoder of identity would score as one of vision."""
    person = given.trials.subject
    if not (person != "").any():
        return not_checked(PERSON, "the data do not say who was recorded")
    return _check(given, PERSON, [person], "person", "who it is")


def _check(given: LeakInput, name: str, columns: list[np.ndarray], noun: str, instead: str) -> Check:
    rows = given.used
    if name != PERSON:  # where all people are shown one list, its shares are as uneven by chance as of one person
        rows = rows[np.lexsort((given.trials.onset[rows], given.file[rows]))]
        kept = first_of_each_list(given.file[rows], given.trials.label[rows])
        rows = np.sort(rows[kept]) if kept.sum() > MIN_TRIALS else given.used
    columns = [column[rows] for column in columns]
    column, label, kind = columns[0], given.trials.label[rows], given.kind[rows]
    classes, groups = np.unique(label), np.unique(column)
    if len(classes) < 2:
        return not_checked(name, "the trials are of one class only")
    if len(groups) < 2:
        return Check(name, True, 0.0, f"There is one {noun}, which cannot tell the class.")
    told = told_by([pair(column, kind) for column in columns], label, kind, given.seed)
    figures = f"{told.accuracy:.1%} right, {told.shuffled:.1%} if shuffled, p = {told.p:.2g}"
    figures += f"; {len(groups)} {noun}s, {len(classes)} classes"
    if told.p > ALPHA:
        return Check(name, True, told.accuracy, f"The {noun} does not tell the class ({figures}).")
    nested = all(len(np.unique(column[label == c])) == 1 for c in classes)
    pure = all(len(np.unique(label[column == g])) == 1 for g in groups)
    how = f"every class was recorded in one {noun} only" if nested else f"every {noun} holds one class only"
    sentence = f"Class = {noun}: {how}" if nested or pure else f"The {noun} tells the class"
    return Check(name, False, told.accuracy, f"{sentence} ({figures}). A score may show {instead}, not vision.")
