"""Options stand in groups in the code and flat on the command line: which flag sets which field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import tyro

from core.registry import by_name

Options = TypeVar("Options")


def flag(name: str) -> Any:
    """Return the annotation of a field whose flag is not called as the field is, for example `gan-epochs`."""
    return tyro.conf.arg(name=name)


@dataclass(frozen=True)
class Flag:
    """One flag: its name with underscores, the fields that lead to it from the options, and its type."""

    name: str
    path: tuple[str, ...]
    kind: Any

    @property
    def typed(self) -> str:
        """Return the flag as users type it."""
        return "--" + self.name.replace("_", "-")


def flags_of(options: type) -> dict[str, Flag]:
    """Return every flag of a dataclass of options by its name, groups within it included.

    Raises ValueError where two fields ask for the same flag.
    """
    return by_name(_flags(options, ()))


def _flags(group: type, above: tuple[str, ...]) -> list[Flag]:
    found: list[Flag] = []
    for name, kind in get_type_hints(group, include_extras=True).items():
        path, typed = (*above, name), name
        if get_origin(kind) is Annotated:
            kind, *marks = get_args(kind)
            typed = next((mark.name for mark in marks if getattr(mark, "name", None)), name)
        found += (
            _flags(kind, path)
            if isinstance(kind, type) and is_dataclass(kind)
            else [Flag(typed.replace("-", "_"), path, kind)]
        )
    return found


def with_flags(options: Options, **values: object) -> Options:
    """Return options with some fields changed, each called by its flag (`gan_epochs=3`), whatever group it stands in.

    Everything is changed at once, so that checks see the whole. Raises ValueError for an unknown flag, listing the
    known ones, or a value that is not allowed.
    """
    known = flags_of(type(options))
    if unknown := [name for name in values if name not in known]:
        raise ValueError(f"no option {', '.join(unknown)}; known: {', '.join(known)}")
    return _changed(options, {known[name].path: value for name, value in values.items()})


def _changed(group: Any, values: Mapping[tuple[str, ...], object]) -> Any:
    own: dict[str, object] = {}
    below: dict[str, dict[tuple[str, ...], object]] = {}
    for (name, *rest), value in values.items():
        if rest:
            below.setdefault(name, {})[tuple(rest)] = value
        else:
            own[name] = value
    return replace(group, **own, **{name: _changed(getattr(group, name), inner) for name, inner in below.items()})


def flag_values(options: object) -> dict[str, object]:
    """Return what every flag of the options says, by the flag's name."""
    return {name: _at(options, flag.path) for name, flag in flags_of(type(options)).items()}


def _at(options: object, path: Sequence[str]) -> object:
    for name in path:
        options = getattr(options, name)
    return options


def check_choice(typed: str, value: object, known: Sequence[object]) -> None:
    """Raise ValueError where a flag's value is none of the known ones."""
    if value not in known:
        raise ValueError(f"{typed} is {value!r}; known: {', '.join(map(str, known))}")


def check_at_least(typed: str, value: int, least: int) -> None:
    """Raise ValueError where a flag's value is below the least allowed."""
    if value < least:
        raise ValueError(f"{typed} must be at least {least}, not {value}")


def group_fields(options: type) -> tuple[str, ...]:
    """Return the names of the groups that a dataclass of options has."""
    hints = get_type_hints(options)
    return tuple(field.name for field in fields(options) if is_dataclass(hints[field.name]))
