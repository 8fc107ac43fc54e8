"""The result of a leak check, and the one line that sums up all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

ALPHA = 5e-4  # of each test: some twenty of them then raise a false alarm in one clean report of a hundred
ABOVE_CHANCE = 0.05  # p of a score that is called above chance
# checks of what a score means rather than of where it comes from
NOT_A_LEAK = {"test concepts", "markers locked to the EEG", "majority class"}
MAX_NAMED = 12


@dataclass(frozen=True)
class Check:
    """One leak check: `passed` (None where it could not be checked), its `figure`, and a sentence that says why."""

    name: str
    passed: bool | None
    figure: float | None
    sentence: str


def not_checked(name: str, why: str) -> Check:
    """Return the result of a check that could not be made; `why` completes "could not be checked, because"."""
    return Check(name, None, None, f"Could not be checked, because {why}.")


def tested(name: str, p: float, figure: float | None, failed: str, passed: str) -> Check:
    """Return the result of a test with the p-value `p`: one sentence if it fails, the other if it passes."""
    return Check(name, not p <= ALPHA, figure, failed if p <= ALPHA else passed)


def verdict(checks: Sequence[Check | Mapping[str, Any]], scores: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return one line that counts what failed, passed and could not be checked, names what failed, and says what that
    makes of the scores.

    checks: or dicts of their fields. scores: a report's rows; where none is above chance, a leak has shown nothing.
    """
    found = [asdict(check) if isinstance(check, Check) else check for check in checks]
    if not found:
        return "Leak checks: none was made, so nothing speaks against a leak."
    failed = [str(check["name"]) for check in found if check.get("passed") is False]
    n_open = sum(check.get("passed") is None for check in found)
    counts = f"{len(found) - len(failed) - n_open} passed, {n_open} could not be checked"
    if not failed:
        return f"Leak checks: 0 failed, {counts}."
    named = "; ".join(failed[:MAX_NAMED]) + (f"; and {len(failed) - MAX_NAMED} more" if len(failed) > MAX_NAMED else "")
    line = f"LEAK CHECKS: {len(failed)} failed ({named}), {counts}"
    if not set(failed) - NOT_A_LEAK:
        return f"{line}: do not read the scores as vision before this is settled."
    if scores and not any(_above_chance(row) for row in scores):
        return f"{line}: no score is above chance; one that is would not show vision."
    return f"{line}: the score is a leak, not vision." if scores else f"{line}: a score would be a leak, not vision."


def that_leak(checks: Sequence[Check]) -> tuple[str, ...]:
    """Return the names of checks that failed and make a score worthless, whatever it is."""
    return tuple(check.name for check in checks if check.passed is False and check.name not in NOT_A_LEAK)


def check_lines(checks: Sequence[Check]) -> list[str]:
    """Return a line for each check that failed or could not be made, those that failed first."""
    marks = ((False, "FAILED"), (None, "not checked"))
    return [
        f"  {mark}  {check.name}: {check.sentence}"
        for state, mark in marks
        for check in checks
        if check.passed is state
    ]


def _above_chance(row: Mapping[str, Any]) -> bool:
    # labels shuffled inside blocks of one class stay as they are, so p alone would miss the very case
    (low, _), chance, p = row.get("interval") or (None, None), row.get("chance"), row.get("p_value")
    return (p is not None and p <= ABOVE_CHANCE) or (low is not None and chance is not None and low > chance)
