"""Say everything that is known of a recording, as text and as one HTML page with traces, spectra, maps and events.

    python trainer/describe.py recording.edf
    python trainer/describe.py recording.csv --units uV --out recording.html
    python trainer/describe.py recording.xdf --stream EEG --json

Flags say what the file does not: its unit, rate, channels, events. What cannot be read is said in one line.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import tyro

from trainer.config.reading_options import ReadingOptions, read_file
from trainer.console import run


@dataclass(frozen=True)
class DescribeOptions:
    """Which recording, and where its page goes."""

    recording: tyro.conf.Positional[Path]
    """EEG file, or a folder that is one recording, in any format that is read."""
    out: Path | None = None
    """Write one HTML page here."""
    json: bool = False
    """Print one JSON object instead of text."""
    reading: Annotated[ReadingOptions, tyro.conf.arg(name="")] = field(default_factory=ReadingOptions)


def describe(options: DescribeOptions) -> str:
    """Read a recording, write its page where one is wanted, and return what is known of it as text or JSON.

    Raises whatever reading raises, before anything is written.
    """
    from core.files import write_atomically
    from trainer.quality.recording_facts import facts_of, facts_text

    recording = read_file(options.recording, options.reading)
    facts = facts_of(recording, options.recording if options.recording.is_file() else None)
    if options.out is not None:
        from trainer.reports.recording_page import describe_page

        page = describe_page(recording, facts)
        with write_atomically(options.out) as beside:
            beside.write_text(page, encoding="utf-8")
    return json.dumps(facts, allow_nan=False) if options.json else facts_text(facts)


def main() -> None:
    """Parse the command line and print what is known of the recording."""
    options = tyro.cli(DescribeOptions, description=__doc__)
    print(describe(options))
    if options.out is not None and not options.json:
        print(f"page: {options.out.resolve()}")


if __name__ == "__main__":
    run(main)
