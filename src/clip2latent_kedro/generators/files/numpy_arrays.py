"""NumPy arrays and scalars in pickles, rebuilt from their parts within bounds.

Pickle format: numpy.ndarray.__reduce__ and numpy.dtype.__reduce__ (versions 1 to 5 of
their states); the names of the functions are those of NumPy 1 and 2.
"""

import re
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.unpickling import Constructor, constructors

MAX_DIMS = 8
MAX_SIZE = 2**40
_NUMERIC = re.compile(r"[<>|=]?(f[248]|[iu][1248]|b1|\?)")


@dataclass
class DtypeRecord:
    """A numeric dtype: its code and its byte order, which comes as its state."""

    code: str
    order: str = "="

    def set_state(self, state: Any) -> None:
        """Take (version, byte order, subdtype, names, fields, ...)."""
        if not isinstance(state, tuple) or len(state) < 5 or any(state[2:5]):
            msg = "has a structured numpy dtype"
            raise Refusal(msg)
        if state[1] not in ("<", ">", "|", "="):
            msg = "has a numpy dtype without a byte order"
            raise Refusal(msg)
        self.order = state[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype itself."""
        return np.dtype(self.order + self.code.lstrip("<>|="))


@dataclass
class ArrayRecord:
    """An array whose contents come as its state.

    Attributes:
        array: A view of the file's bytes; None before the state came.
    """

    array: np.ndarray[Any, np.dtype[Any]] | None = None

    def set_state(self, state: Any) -> None:
        """Take (version, shape, dtype, whether in Fortran order, bytes)."""
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            msg = "has a numpy array with an unknown state"
            raise Refusal(msg)
        shape, dtype, is_fortran, raw = state[-4:]
        self.array = _array(raw, dtype, shape, "F" if is_fortran else "C")


def numpy_globals() -> dict[str, Any]:
    """Return the names by which numeric arrays and scalars are pickled."""
    return {
        **constructors(
            {
                "numpy.dtype": _dtype,
                "numpy.core.multiarray.scalar": _scalar,
                "numpy.core.multiarray._reconstruct": _reconstruct,
                "numpy.core.numeric._frombuffer": _from_buffer,
            }
        ),
        "numpy.ndarray": Constructor("numpy.ndarray", _refuse_array),
    }


def _dtype(code: Any, *_: Any) -> DtypeRecord:
    if not isinstance(code, str) or not _NUMERIC.fullmatch(code):
        spelt = repr(code[:40]) if isinstance(code, str) else type(code).__name__
        msg = f"has the numpy dtype {spelt}, which is not numeric"
        raise Refusal(msg)
    return DtypeRecord(code)


def _scalar(dtype: Any, raw: Any) -> float | int | bool:
    array = _array(raw, dtype, (1,), "C")
    value: float | int | bool = array[0].item()
    return value


def _reconstruct(kind: Any, *_: Any) -> ArrayRecord:
    if not isinstance(kind, Constructor) or kind.name != "numpy.ndarray":
        msg = "has a numpy array of another class"
        raise Refusal(msg)
    return ArrayRecord()


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> ArrayRecord:
    return ArrayRecord(_array(raw, dtype, shape, "F" if order == "F" else "C"))


def _refuse_array(*_: Any) -> None:
    msg = "calls numpy.ndarray"
    raise Refusal(msg)


def _array(
    raw: Any, dtype: Any, shape: Any, order: Any
) -> np.ndarray[Any, np.dtype[Any]]:
    """Return an array on the bytes of the file."""
    if not isinstance(dtype, DtypeRecord):
        msg = "has a numpy array without a dtype"
        raise Refusal(msg)
    if not isinstance(raw, bytes | memoryview):
        msg = "has a numpy array without bytes"
        raise Refusal(msg)
    sizes = checked_sizes(shape, "shape of a numpy array")
    expected = prod(sizes) * dtype.dtype.itemsize
    if expected != len(raw):
        msg = (
            f"has a numpy array of shape {list(sizes)} that needs {expected} bytes, "
            f"with {len(raw)}"
        )
        raise Refusal(msg)
    return np.frombuffer(raw, dtype.dtype).reshape(sizes, order=order)


def checked_sizes(sizes: Any, what: str) -> tuple[int, ...]:
    """Return a shape, stride or the like: a few whole numbers, none negative.

    Raises:
        Refusal: If it is anything else; the message names `what`.
    """
    if not isinstance(sizes, tuple | list) or len(sizes) > MAX_DIMS:
        msg = f"has no list of at most {MAX_DIMS} numbers as the {what}"
        raise Refusal(msg)
    for size in sizes:
        if type(size) is not int or not 0 <= size < MAX_SIZE:
            is_short = type(size) is int and abs(size) < 2**64
            got = size if is_short else f"an object of type {type(size).__name__}"
            msg = f"has {got} in the {what}, where 0 to {MAX_SIZE} is expected"
            raise Refusal(msg)
    return tuple(sizes)
