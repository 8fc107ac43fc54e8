"""Everything that a report says of retrieval, in its order."""

from pathlib import Path

from ..decoding_report import Evaluated
from .beside import beside_section, open_beside
from .sections import Asked, retrieval_sections
from .sheets import picture_sections


def retrieval_report(
    evaluated: Evaluated, asked: Asked, beside: Path | None = None, data: Path | None = None
) -> list[dict]:
    """Return the sections on retrieval, another run's figures beside this one's, and their pictures.

    beside: the other run's folder. data: the store, where it has moved.
    """
    sections = retrieval_sections(evaluated, asked)
    other = None if beside is None else open_beside(evaluated, beside, data)
    if other is not None:
        sections.append(beside_section(evaluated, other))
    return sections + picture_sections(evaluated, other)
