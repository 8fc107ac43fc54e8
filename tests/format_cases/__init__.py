"""Every format under test, by name."""

from .case import FormatCase, Truth, truth
from .containers import CASES as CONTAINERS
from .headsets import CASES as HEADSETS
from .lab import CASES as LAB

CASES: dict[str, FormatCase] = {case.name: case for case in (*HEADSETS, *LAB, *CONTAINERS)}

__all__ = ["CASES", "FormatCase", "Truth", "truth"]
