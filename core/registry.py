"""Registries are plain dicts from a name to a row; this is how they are made, so that no name is taken twice."""

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Named(Protocol):
    """A row that carries its own name."""

    @property
    def name(self) -> str:
        """What it is called in files, flags and menus."""
        ...


Row = TypeVar("Row")
NamedRow = TypeVar("NamedRow", bound=Named)


def registry(*pairs: tuple[str, Row]) -> dict[str, Row]:
    """Return the pairs as a dict, in their order; ValueError names a key that stands there twice.

    A dict display would let the later of two rows win without a word.
    """
    found: dict[str, Row] = {}
    for name, row in pairs:
        if name in found:
            raise ValueError(
                f"two rows are called {name!r}: {found[name]!r} and {row!r}; give one of them another name"
            )
        found[name] = row
    return found


def by_name(rows: Iterable[NamedRow]) -> dict[str, NamedRow]:
    """Return rows under their own names, in their order; ValueError names one that stands there twice."""
    return registry(*((row.name, row) for row in rows))
