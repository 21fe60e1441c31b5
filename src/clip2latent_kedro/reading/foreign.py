"""The one way from another program's file to its tensors and settings.

A file is a pickle or one of the two containers of torch.save, told apart by its first
bytes. It is mapped, not loaded; what reading it may cost is bounded by its size; and
nothing that it names is imported or called. Whatever goes wrong while it is read
becomes one sentence for the user.
"""

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.reading.pickled_names import (
    checkpoint_names,
    network_names,
    plain_names,
)
from clip2latent_kedro.reading.pickles import (
    Budget,
    Machine,
    MappedFile,
    Refusal,
    check_nesting,
)
from clip2latent_kedro.reading.torch_files import (
    LEGACY_START,
    STORAGE_NAMES,
    TensorRecord,
    nested_storage_name,
    read_legacy,
    read_zip,
    tensor_names,
)
from clip2latent_kedro.reading.weights import MISSHAPEN, first_line

T = TypeVar("T")

_MAX_FILE_BYTES = 4 << 30
_MAX_TENSORS = 10_000
# How often reading may copy a file's own size: weights as text, as bytes, as float32.
_MAX_COPIES = 6
_SPARE_BYTES = 1 << 20
_OTHERS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF": "an HDF5 file",
    b"<": "a web page or XML",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
}


def read_foreign(path: Path, convert: Callable[[Any], T], *, expected: str) -> T:
    """Return what `convert` makes of the object in a file.

    Args:
        path: The file.
        convert: Takes the object: plain containers, numbers and texts, `Instance` for
            objects of classes, `TensorRecord` and `ArrayRecord` for numbers that are
            yet to be read. Raises `Refusal`, or any error of data that are not laid
            out as it expects them.
        expected: What to give instead, for the message.

    Raises:
        InputError: If the file is not there or is refused; the message says by what.
    """
    check_size(path, expected)
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        budget = Budget(num_bytes=_MAX_COPIES * len(mapped) + _SPARE_BYTES)
        content = _read_object(memoryview(mapped), budget)
        check_nesting(content)
        return convert(content)
    except Refusal as refusal:
        reason, cause = str(refusal), refusal.__cause__ or refusal
    except OSError as error:
        reason, cause = f"cannot be read ({error.strerror})", error
    except InputError as error:
        reason, cause = f"describes what cannot be built ({first_line(error)})", error
    except MISSHAPEN as error:
        said = f"{type(error).__name__}: {first_line(error)}"
        reason, cause = f"is not laid out as expected ({said})", error
    msg = f"{path} is refused because it {reason}; give {expected}."
    raise InputError(msg) from cause


def check_size(path: Path, expected: str) -> None:
    """Check that a file is there and small enough to be read, or even hashed.

    Args:
        path: The file.
        expected: What to give instead, for the message.

    Raises:
        InputError: If there is none, or it is empty or larger than any of weights.
    """
    if not path.is_file():
        msg = f"A file is expected at {path}, where there is none; give {expected}."
        raise InputError(msg)
    num_bytes = path.stat().st_size
    if not 0 < num_bytes <= _MAX_FILE_BYTES:
        reason = f"has {num_bytes} bytes, more than {_MAX_FILE_BYTES}"
        reason = reason if num_bytes else "is empty"
        raise InputError(f"{path} is refused because it {reason}; give {expected}.")


def tensors_of(content: Any, where: str) -> dict[str, Tensor]:
    """Return the tensors of a state dict, float32.

    Args:
        content: Of a file or a part of it.
        where: Which part, for the message.

    Raises:
        Refusal: If it is no state dict.
    """
    if not isinstance(content, dict) or not 0 < len(content) <= _MAX_TENSORS:
        raise Refusal(f"holds no state dict {where}")
    tensors = {}
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, TensorRecord):
            key = str(name)[:80]
            raise Refusal(f"has the entry {key!r} {where}, which is no tensor")
        tensors[name] = value.read()
    return tensors


def _read_object(data: memoryview, budget: Budget) -> Any:
    """Return the object in a file by the closed list of its format."""
    start = bytes(data[:64])
    names = {**plain_names(budget), **tensor_names(budget)}
    if start.startswith((b"PK\x03\x04", LEGACY_START)):
        names |= {**STORAGE_NAMES, **checkpoint_names()}
        is_zip = start.startswith(b"PK")
        return (read_zip if is_zip else read_legacy)(data, names, budget)
    if start.startswith(b"\x80"):
        names |= {**nested_storage_name(budget), **network_names()}
        return Machine(MappedFile(data), names, budget).load()
    for sign, what in _OTHERS.items():
        if start.startswith(sign):
            raise Refusal(f"is {what}")
    is_text = all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start)
    raise Refusal(f"is no pickle but {'text' if is_text else 'something else'}")
