"""The closed list of names that foreign files may hold, beside torch's tensors.

They are what the original programs write (NVIDIA's stylegan2, stylegan2-ada,
stylegan2-ada-pytorch and stylegan3, Lafite, rosinality's stylegan2-pytorch, the trainer
of clip2latent) under pickle protocols 2 to 5. Each stands for a stand-in that makes
plain data. NumPy's are those of numpy.ndarray.__reduce__ and numpy.dtype.__reduce__
(versions 1 to 5 of their states), by the names of NumPy 1 and 2.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from clip2latent_kedro.reading.pickles import (
    Budget,
    Constructor,
    Instance,
    Refusal,
    checked_key,
)

Names = dict[str, Any]
Array = np.ndarray[Any, np.dtype[Any]]

MAX_DIMS = 8
MAX_SIZE = 2**40
# Text encodings, and the bytes that a character can take.
_ENCODINGS = {"latin1": 1, "latin-1": 1, "ascii": 1, "utf-8": 4}
_BYTES_PER_ITEM = 64
_NUMERIC = re.compile(r"[<>|=]?(f[248]|[iu][1248]|b1|\?)")
# OmegaConf's containers and leaves, and what their metadata may say of types.
_NODES = (
    *("dictconfig.DictConfig", "listconfig.ListConfig", "nodes.AnyNode"),
    *("nodes.StringNode", "nodes.IntegerNode", "nodes.FloatNode", "nodes.BooleanNode"),
    *("nodes.BytesNode", "nodes.PathNode"),
)
_METADATA = ("base.ContainerMetadata", "base.Metadata")
_TYPES = (
    *(f"typing.{name}" for name in ("Any", "Dict", "List", "Optional", "Tuple")),
    *(f"builtins.{name}" for name in ("int", "float", "str", "bool")),
    *("builtins.long", "builtins.unicode"),  # int and str, as protocol 2 has them
)


@dataclass
class DtypeRecord:
    """A numeric dtype: its code and its byte order, which comes as its state."""

    code: str
    order: str = "="

    def set_state(self, state: Any) -> None:
        """Take (version, byte order, subdtype, names, fields, ...)."""
        if not isinstance(state, tuple) or len(state) < 5 or any(state[2:5]):
            raise Refusal("has a structured numpy dtype")
        if state[1] not in ("<", ">", "|", "="):
            raise Refusal("has a numpy dtype without a byte order")
        self.order = state[1]


@dataclass
class ArrayRecord:
    """An array whose contents come as its state.

    Attributes:
        budget: What the whole file may still take.
        array: A view of the file's bytes; None before the state came.
    """

    budget: Budget
    array: Array | None = None

    def set_state(self, state: Any) -> None:
        """Take (version, shape, dtype, whether in Fortran order, bytes)."""
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise Refusal("has a numpy array with an unknown state")
        shape, dtype, is_fortran, raw = state[-4:]
        self.array = _array(raw, dtype, shape, "F" if is_fortran else "C")

    def read(self) -> Array:
        """Return a copy of the array, float32."""
        if self.array is None:
            raise Refusal("has a numpy array without numbers")
        self.budget.take_bytes(4 * self.array.size)
        return np.array(self.array, dtype=np.float32)


class ConfigNode(Instance):
    """A node of OmegaConf, of which only its value is kept.

    Attributes:
        value: A number, a text, or a dict or list of further nodes.
    """

    value: Any = None

    def set_state(self, state: Any) -> None:
        """Take the value; its parent, above all, is left out."""
        super().set_state(state)
        self.value = self.state.get("_content", self.state.get("_val"))
        self.state = {"value": self.value}


def plain_names(budget: Budget) -> Names:
    """Return the names of containers, Python's own and others like them, and arrays."""

    def encode(text: Any, encoding: Any = "utf-8") -> bytes:
        # How protocol 2 writes bytes.
        is_known = isinstance(encoding, str) and encoding in _ENCODINGS
        if not isinstance(text, str) or not is_known:
            raise Refusal("encodes something else than text, or in an unusual way")
        budget.take_bytes(_ENCODINGS[encoding] * len(text))
        return text.encode(encoding)

    def make_bytes(data: Any = b"", *encoding: Any) -> bytes | memoryview:
        if isinstance(data, bytes | memoryview):
            return data
        # Anything else but text would be a size to allocate.
        return encode(data, *encoding)

    def counted(items: Any) -> Any:
        if not isinstance(items, list | tuple | set | dict):
            kind = type(items).__name__
            raise Refusal(f"makes a container of an object of type {kind}")
        budget.take_bytes(_BYTES_PER_ITEM * len(items))
        return items

    def make_set(items: Any = ()) -> set[Any]:
        return set(map(checked_key, counted(items)))

    def make_dict(items: Any = ()) -> dict[Any, Any]:
        # Its items come with it only in pickles of Python 2.
        given = counted(items)
        pairs = given.items() if isinstance(given, dict) else given
        return {checked_key(key): value for key, value in pairs}

    def reconstruct(kind: Any, *_: Any) -> ArrayRecord:
        if not isinstance(kind, Constructor) or kind.name != "numpy.ndarray":
            raise Refusal("has a numpy array of another class")
        return ArrayRecord(budget)

    def from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> ArrayRecord:
        array = _array(raw, dtype, shape, "F" if order == "F" else "C")
        return ArrayRecord(budget, array)

    dicts = ("collections.OrderedDict", "builtins.dict", "dnnlib.EasyDict")
    return {
        **dict.fromkeys((*dicts, "dnnlib.util.EasyDict"), make_dict),
        **dict.fromkeys(("builtins.set", "builtins.frozenset"), make_set),
        **dict.fromkeys(("builtins.bytes", "builtins.bytearray"), make_bytes),
        "builtins.list": lambda items=(): list(counted(items)),
        "torch.Size": lambda items=(): tuple(counted(items)),
        "_codecs.encode": encode,
        "numpy.dtype": _dtype,
        "numpy.ndarray": _refuse_array,
        "numpy.core.multiarray.scalar": _scalar,
        "numpy.core.multiarray._reconstruct": reconstruct,
        "numpy.core.numeric._frombuffer": from_buffer,
    }


def network_names() -> Names:
    """Return the names by which NVIDIA's programs pickle networks."""
    return {
        "dnnlib.tflib.network.Network": lambda: Instance("Network"),
        "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
    }


def checkpoint_names() -> Names:
    """Return the names in training checkpoints: their arguments or configuration."""
    nodes: Callable[[], Instance] = lambda: ConfigNode("ConfigNode")  # noqa: E731
    return {
        **{name: name for name in _TYPES},
        **{f"omegaconf.{name}": nodes for name in _NODES},
        **{f"omegaconf.{name}": lambda: Instance("Metadata") for name in _METADATA},
        "argparse.Namespace": lambda: Instance("Namespace"),
        "collections.defaultdict": lambda *_: {},
        **dict.fromkeys(("pathlib.PosixPath", "pathlib.WindowsPath"), _path),
    }


def checked_sizes(sizes: Any, what: str) -> tuple[int, ...]:
    """Return a shape, stride or the like: a few whole numbers, none negative.

    Raises:
        Refusal: If it is anything else; the message names `what`.
    """
    if not isinstance(sizes, tuple | list) or len(sizes) > MAX_DIMS:
        raise Refusal(f"has no list of at most {MAX_DIMS} numbers as the {what}")
    for size in sizes:
        if type(size) is not int or not 0 <= size < MAX_SIZE:
            is_short = type(size) is int and abs(size) < 2**64
            got = size if is_short else f"an object of type {type(size).__name__}"
            raise Refusal(f"has {got} in the {what}, where 0 to {MAX_SIZE} is expected")
    return tuple(sizes)


def _persistent(meta: Any) -> Instance:
    """Return a module of NVIDIA's torch_utils.persistence, leaving out its source."""
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise Refusal("has a persistent object that is no class")
    name, state = meta.get("class_name"), meta.get("state")
    if not isinstance(name, str) or not isinstance(state, dict):
        raise Refusal("has a persistent object without a class name and a state")
    return Instance(name[:100], state)


def _path(*parts: Any) -> str:
    if not all(isinstance(part, str) for part in parts):
        raise Refusal("has a path that is no text")
    return "/".join(parts)


def _dtype(code: Any, *_: Any) -> DtypeRecord:
    if not isinstance(code, str) or not _NUMERIC.fullmatch(code):
        spelt = repr(code[:40]) if isinstance(code, str) else type(code).__name__
        raise Refusal(f"has the numpy dtype {spelt}, which is not numeric")
    return DtypeRecord(code)


def _scalar(dtype: Any, raw: Any) -> float | int | bool:
    value: float | int | bool = _array(raw, dtype, (1,), "C")[0].item()
    return value


def _refuse_array(*_: Any) -> None:
    raise Refusal("calls numpy.ndarray")


def _array(raw: Any, dtype: Any, shape: Any, order: Any) -> Array:
    """Return an array on the bytes of the file."""
    if not isinstance(dtype, DtypeRecord):
        raise Refusal("has a numpy array without a dtype")
    if not isinstance(raw, bytes | memoryview):
        raise Refusal("has a numpy array without bytes")
    kind: np.dtype[Any] = np.dtype(dtype.order + dtype.code.lstrip("<>|="))
    sizes = checked_sizes(shape, "shape of a numpy array")
    expected = prod(sizes) * kind.itemsize
    if expected != len(raw):
        raise Refusal(
            f"has a numpy array of shape {list(sizes)} that needs {expected} bytes, "
            f"with {len(raw)}"
        )
    return np.frombuffer(raw, kind).reshape(sizes, order=order)
