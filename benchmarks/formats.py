"""The table of formats, every cell from a test: what is read, and which lies of a file are caught.

Runs tests/test_formats_table.py and prints the table of docs/recordings.md: a tick where the test passed, a dash with
the number of the reason where there is nothing to test (a format without timestamps cannot lie about its rate), a cross
where it failed. Real files are those of $SD_EEG_DATA. Prints one JSON object as its last line; exits with 1 at a
cross.

    python benchmarks/formats.py [-k EDF]
"""

import argparse
import contextlib
import io
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import pytest

from tests.format_cases import CASES

COLUMNS = {
    "test_reads_real_file": "real file",
    "test_reads_written_file": "written file",
    "test_is_known_under_any_name": "any name",
    "test_events_are_right": "events right",
    "test_wrong_unit_is_caught": "wrong unit caught",
    "test_wrong_rate_is_caught": "wrong rate caught",
    "test_truncated_file_is_caught": "cut-off file caught",
}


class Outcomes:
    """A plugin of pytest that keeps each cell's outcome: "passed", "skipped" or "failed", and why."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], tuple[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test's call said, or its set-up where that did not get to the call."""
        if report.when == "teardown" or (report.when == "setup" and report.passed):
            return
        test, _, rest = report.nodeid.rpartition("::")[2].partition("[")
        why = ""
        if report.skipped and isinstance(report.longrepr, tuple):
            why = str(report.longrepr[2]).removeprefix("Skipped: ")
        elif report.failed:
            why = str(getattr(getattr(report.longrepr, "reprcrash", None), "message", report.longrepr))
        self.cells[rest[:-1], test] = report.outcome, " ".join(why.split())[:300]


def run_tests(only: str | None) -> Outcomes:
    """Run the table's tests and return what they said; RuntimeError where they could not be run."""
    found, said = Outcomes(), io.StringIO()
    arguments = [str(ROOT / "tests" / "test_formats_table.py"), "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main([*arguments, *(["-k", only] if only else [])], plugins=[found])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not found.cells:
        raise RuntimeError(said.getvalue())
    return found


def table(found: Outcomes) -> str:
    """Return the table in Markdown, with the reasons for its dashes and crosses below it."""
    lines = [f"| format | written with | {' | '.join(COLUMNS.values())} |", "|---|---|" + ":-:|" * len(COLUMNS)]
    reasons: dict[str, int] = {}
    for name, case in CASES.items():
        cells = []
        for test in COLUMNS:
            outcome, why = found.cells.get((name, test), ("not run", "not run"))
            if outcome == "passed":
                cells.append("✓")
                continue
            number = reasons.setdefault(why.removeprefix(f"{name}: ").replace(f" of {name} ", " "), len(reasons) + 1)
            cells.append(f"{'✗' if outcome == 'failed' else '–'} {number}")
        if any(cell[0] != "–" for cell in cells) or (name, "test_reads_written_file") in found.cells:
            lines.append(f"| {name} | {case.writer} | {' | '.join(cells)} |")
    listed = [f"{number}. {why}" for why, number in reasons.items() if why != "not run"]
    return "\n".join([*lines, "", *listed])


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-k", dest="only", help="only the formats whose names match, as pytest's -k")
    found = run_tests(parser.parse_args().only)
    print(table(found), "\n", sep="")
    formats: dict[str, Any] = {}
    for (name, test), (outcome, why) in found.cells.items():
        formats.setdefault(name, {})[COLUMNS[test]] = f"{outcome}: {why}" if why else outcome
    counts = Counter(outcome for outcome, _ in found.cells.values())
    print(json.dumps({"formats": formats, **{key: counts[key] for key in ("passed", "skipped", "failed")}}))
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
