"""Pickles that hold plain values and NumPy arrays (public EEG sets are shared so), read without running anything.

Nothing is imported that a pickle names: three names of NumPy stand for small classes of this file, which only remember
what they were given; every other name is refused. The arrays are then made from the bytes by hand.
"""

from __future__ import annotations

import io
import math
import pickle
import sys
from collections.abc import Callable
from typing import IO, Any, ClassVar

import numpy as np

_KINDS = "biufSU"
LargeArray = Callable[[np.dtype, tuple[int, ...], Any, bool], Any]  # dtype, shape, bytes, column by column; None: none
_MOST_DEPTH = 8
_MOST_VALUES = 500_000


class _Dtype:
    """Stands in for numpy.dtype: the code it was made with, and its byte order."""

    def __init__(self, code: Any = "", align: Any = False, copy: Any = True) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "=", "|"):
            self.order = str(state[1])

    def real(self) -> np.dtype | None:
        """Return the dtype of plain numbers and texts, None for objects; ValueError for all else."""
        code = self.code.decode("ascii", "replace") if isinstance(self.code, bytes) else self.code
        if not isinstance(code, str) or len(code) > 12:
            raise ValueError(f"an array of {str(code)[:40]!r}")
        if code in ("O", "O8", "|O"):
            return None
        found = np.dtype(code)
        if found.kind not in _KINDS or found.fields:
            raise ValueError(f"an array of {code!r}")
        return found.newbyteorder(">" if self.order == ">" else "<" if self.order == "<" else "=")


class _Array:
    """Stands in for numpy.ndarray: what an array's state was."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Scalar:
    """Stands in for a NumPy number: its dtype and bytes."""

    def __init__(self, dtype: Any = None, raw: Any = b"", *_: Any) -> None:
        self.dtype, self.raw = dtype, raw


class _FromBuffer:
    """Stands in for an array made of bytes (pickle protocol 5)."""

    def __init__(self, raw: Any = b"", dtype: Any = None, shape: Any = (), order: Any = "C") -> None:
        self.raw, self.dtype, self.shape, self.order = raw, dtype, shape, order


def _reconstruct(*_: Any) -> _Array:
    return _Array()


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {("numpy", "ndarray"): _Array, ("numpy", "dtype"): _Dtype}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[(f"{_core}.multiarray", "_reconstruct")] = _reconstruct
    _ALLOWED[(f"{_core}.multiarray", "scalar")] = _Scalar
    _ALLOWED[(f"{_core}.numeric", "_frombuffer")] = _FromBuffer


def _load_bytearray(unpickler: Any) -> None:
    """Take a bytearray: the interpreter's own way asks for all the memory that its length claims, then reads."""
    length = int.from_bytes(unpickler.read(8), "little")
    content = unpickler.read(min(length, sys.maxsize))
    if len(content) < length:
        raise EOFError
    unpickler.append(bytearray(content))


# the interpreter's own unpickler in Python: the one in C asks for whatever memory a number in the file claims
class PlainUnpickler(pickle._Unpickler):
    """An unpickler that knows a few names and imports none of them."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BYTEARRAY8[0]: _load_bytearray,
    }

    def __init__(self, file: IO[bytes], size: int) -> None:
        super().__init__(file, encoding="latin1")
        # the same text can be encoded again and again, and each time costs memory
        self.left = 2 * size

    def encode(self, text: Any = "", *_: Any) -> bytes:
        """Stand in for codecs.encode: before protocol 3, bytes come as text in Latin-1."""
        if not isinstance(text, str) or len(text) > self.left:
            raise pickle.UnpicklingError("bytes that are no text, or too many of them")
        self.left -= len(text)
        return text.encode("latin-1", "replace")

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in of a name, of the few that there are."""
        if (module, name) == ("_codecs", "encode"):
            return self.encode
        if found := _ALLOWED.get((module, name)):
            return found
        raise pickle.UnpicklingError(f"it names {module}.{name}, and only plain values and NumPy arrays are read")

    def get_extension(self, code: int) -> None:
        """Refuse what is named by number."""
        raise pickle.UnpicklingError("it uses registered extensions")

    def persistent_load(self, pid: Any) -> Any:
        """Refuse what lies elsewhere."""
        raise pickle.UnpicklingError("it points to something outside itself")


def load_plain_pickle(content: bytes | memoryview) -> Any:
    """Return what a pickle holds: dicts, lists, texts, numbers and arrays (at most eight deep).

    Raises ValueError saying what it names beyond those, or that it is cut off or damaged.
    """
    return plain_values(PlainUnpickler(io.BytesIO(content), len(content)).load)


def plain_values(load: Callable[[], Any], large: LargeArray | None = None) -> Any:
    """Return what an unpickler's `load` gives as plain values; `large` may make an array of what it left on disk.

    Raises ValueError as `load_plain_pickle` does.
    """
    try:
        return _Reader(large).plain(load(), 0)
    except EOFError as error:
        raise ValueError("the pickle is cut off: it ends inside") from error
    except pickle.UnpicklingError as error:
        said = " ".join(str(error).split())
        raise ValueError(f"a pickle that is cut off or not plain: {said[:200]}") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle calls anything with anything
        said = " ".join(str(error).split())
        raise ValueError(f"a damaged pickle: {type(error).__name__} {said[:200]}") from error


class _Reader:
    """Turns what was unpickled into plain values; a list that holds itself does not keep it busy for ever."""

    def __init__(self, large: LargeArray | None = None) -> None:
        self.seen, self.large = 0, large

    def plain(self, value: Any, depth: int) -> Any:
        self.seen += 1
        if depth > _MOST_DEPTH or self.seen > _MOST_VALUES:
            raise ValueError(f"values nested more than {_MOST_DEPTH} deep, or more than {_MOST_VALUES} of them")
        if isinstance(value, dict):
            return {
                _key(key): self.plain(one, depth + 1)
                for key, one in value.items()
                if isinstance(key, (str, bytes, int))
            }
        if isinstance(value, (list, tuple)):
            return [self.plain(one, depth + 1) for one in value]
        if isinstance(value, _Array):
            return self.array(value.state, depth)
        if isinstance(value, _FromBuffer):
            return _numbers(value.dtype, value.shape, value.raw, value.order == "F", self.large)
        if isinstance(value, _Scalar):
            return _numbers(value.dtype, (), value.raw, False).item()
        return value if isinstance(value, (str, int, float, bytes, bool, type(None))) else None

    def array(self, state: Any, depth: int) -> Any:
        if not isinstance(state, tuple) or len(state) < 4:
            raise ValueError("an array without its state")
        _, shape, dtype, fortran, raw = state[:5] if len(state) >= 5 else (1, *state)
        if isinstance(dtype, _Dtype) and dtype.real() is None:
            if not isinstance(raw, list):
                raise ValueError("an array of objects without its list")
            items = [self.plain(one, depth + 1) for one in raw]
            return items[0] if shape == () and len(items) == 1 else items
        return _numbers(dtype, shape, raw, bool(fortran), self.large)


def _key(key: Any) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)


def _numbers(dtype: Any, shape: Any, raw: Any, fortran: bool, large: LargeArray | None = None) -> Any:
    kind = dtype.real() if isinstance(dtype, _Dtype) else None
    sound = isinstance(shape, tuple) and all(isinstance(n, int) and n >= 0 for n in shape)
    if large is not None and kind is not None and sound and (found := large(kind, shape, raw, fortran)) is not None:
        return found
    if isinstance(raw, str):
        raw = raw.encode("latin-1", "replace")
    if kind is None or not isinstance(raw, (bytes, bytearray)):
        raise ValueError("an array of neither numbers nor texts")
    if not sound:
        raise ValueError("an array without a shape")
    if math.prod(shape) * kind.itemsize != len(raw):
        raise ValueError(f"an array of {shape} {kind} in {len(raw)} bytes: cut off")
    return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C")
