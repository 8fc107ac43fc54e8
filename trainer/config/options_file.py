"""`options.json`: options as JSON in their groups, read back by the types of the fields."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from core.files import write_atomically

from .flags import flags_of, group_fields, with_flags

FILE = "options.json"

Options = TypeVar("Options")


def to_json(value: object) -> Any:
    """Return options, or a part of them, as what JSON can hold: groups become objects, paths texts, tuples lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [to_json(item) for item in cast(tuple[object, ...], value)]
    return str(value) if isinstance(value, Path) else value


def from_json(kind: Any, value: Any, where: str) -> Any:
    """Return a value of a type from what `to_json` made of it; a field that is missing has its default.

    Known types: dataclasses, `Path`, `bool`, `int`, `float`, `str`, tuples, and any of them or None. where: how the
    value is called in messages. Raises ValueError for an unknown key (listing the known ones) or another type.
    """
    if is_dataclass(kind):
        return _group_from_json(cast(type, kind), value, where)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None and NoneType in inner:
            return None
        (kind,) = (part for part in inner if part is not NoneType)
        return from_json(kind, value, where)
    if origin is tuple and isinstance(value, list):
        items = cast(list[Any], value)
        kinds = inner[:1] * len(items) if inner[-1] is Ellipsis else inner
        if len(kinds) == len(items):
            return tuple(from_json(part, item, where) for part, item in zip(kinds, items, strict=True))
        raise ValueError(f"{where} is {value!r}; it takes {len(kinds)} values")
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise ValueError(f"{where} is {value!r}; it must be {getattr(kind, '__name__', kind)}")


def _group_from_json(group: type, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise ValueError(f"{where} is {values!r}; it must be an object")
    known = get_type_hints(group)
    found = {str(name): value for name, value in cast(dict[Any, Any], values).items()}
    _refuse_unknown(found, known, where)
    return group(**{name: from_json(known[name], value, f"{where}.{name}") for name, value in found.items()})


def _refuse_unknown(values: Mapping[str, object], known: Mapping[str, object], where: str) -> None:
    if unknown := [name for name in values if name not in known]:
        raise ValueError(
            f"{where} has no {', '.join(unknown)} in this version; known: {', '.join(known)} "
            "(was it written by a newer one?)"
        )


def write_options(options: object, path: Path) -> None:
    """Write options to a file, beside the old one and then renamed."""
    with write_atomically(path) as beside:
        beside.write_text(json.dumps(to_json(options), indent=2) + "\n", encoding="utf-8")


def read_options(kind: type[Options], path: Path) -> Options:
    """Return the options in a file; what it does not say has its default.

    Files of earlier versions have no groups, but one key a flag. Raises ValueError naming the file and what in it does
    not fit.
    """
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} holds no JSON: {error}") from error
    try:
        if not isinstance(values, dict):
            return from_json(kind, values, "options")
        found = {str(name): value for name, value in cast(dict[Any, Any], values).items()}
        if any(isinstance(found.get(name), dict) for name in group_fields(kind)):
            return from_json(kind, found, "options")
        flags = flags_of(kind)
        _refuse_unknown(found, flags, "options")
        return with_flags(kind(), **{n: from_json(flags[n].kind, value, n) for n, value in found.items()})
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
