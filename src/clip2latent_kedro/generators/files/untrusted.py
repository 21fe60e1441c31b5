"""A file that nobody vouches for: opened, bounded, told apart by its first bytes.

Whatever goes wrong while it is read becomes one sentence for the user.
"""

import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import check_is_file
from clip2latent_kedro.generators.files.allowed import plain_globals
from clip2latent_kedro.generators.files.numpy_arrays import numpy_globals
from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.torch_files import (
    LEGACY_START,
    read_legacy,
    read_zip,
)
from clip2latent_kedro.generators.files.torch_tensors import (
    storage_globals,
    tensor_globals,
)
from clip2latent_kedro.generators.files.unpickling import Budget, check_nesting

T = TypeVar("T")
Format = Literal["torch_zip", "torch_legacy", "pickle"]

_MAX_FILE_BYTES = 4 << 30
# How often reading may copy a file's own size: weights as text, as bytes, as float32.
_MAX_COPIES = 6
_SPARE_BYTES = 1 << 20
_STARTS: dict[bytes, Format] = {
    b"PK\x03\x04": "torch_zip",
    LEGACY_START: "torch_legacy",
    b"\x80": "pickle",
}
_OTHERS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF": "an HDF5 file",
    b"<": "a web page or XML",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
}
# What a pickle of the wrong shape raises in the code that looks for its parts.
_MISSHAPEN = (
    *(AttributeError, IndexError, KeyError, TypeError, ValueError),
    *(OverflowError, RuntimeError, RecursionError),
)


def read_untrusted(
    path: Path, read: Callable[[memoryview, Budget], T], *, expected: str
) -> T:
    """Return what `read` makes of a file, given its bytes and what it may cost.

    Args:
        path: A file that is there.
        read: Raises `Refusal`, or any error of data that are not laid out as it
            expects them.
        expected: What to give instead, for the message.

    Raises:
        InputError: If the file is refused; the message says by what.
    """
    try:
        return read(*_open(path))
    except Refusal as refusal:
        reason = str(refusal)
        cause: Exception = refusal
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        cause = error
    except _MISSHAPEN as error:
        reason = f"is not laid out as expected ({type(error).__name__})"
        cause = error
    msg = f"{path} is refused because it {reason}; give {expected}."
    raise InputError(msg) from cause


def check_size(path: Path) -> None:
    """Check that a file is small enough to be read, before it is even hashed.

    Raises:
        InputError: If it is larger than any generator's.
    """
    num_bytes = path.stat().st_size
    if num_bytes > _MAX_FILE_BYTES:
        msg = (
            f"{path} is refused because it has {num_bytes} bytes, more than "
            f"{_MAX_FILE_BYTES}; give a file of weights."
        )
        raise InputError(msg)


def file_format(data: memoryview) -> Format:
    """Return the format that the first bytes tell.

    Raises:
        Refusal: If it is none of those that hold weights.
    """
    start = bytes(data[:64])
    for sign, name in sorted(_STARTS.items(), key=lambda item: -len(item[0])):
        if start.startswith(sign):
            return name
    for sign, what in _OTHERS.items():
        if start.startswith(sign):
            msg = f"is {what}"
            raise Refusal(msg)
    is_text = all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start)
    msg = f"is no pickle but {'text' if is_text else 'something else'}"
    raise Refusal(msg)


def read_torch_object(
    data: memoryview, budget: Budget, names: Mapping[str, Any] | None = None
) -> Any:
    """Return what torch.save has written, tensors as `TensorRecord`.

    Args:
        data: Either container, zip or legacy.
        budget: Of the whole file.
        names: Names on the closed list beside those of containers, arrays and
            tensors, and what they stand for.

    Raises:
        Refusal: If the file is something else or holds something else.
    """
    found = file_format(data)
    if found == "pickle":
        msg = "is a pickle that torch.save has not written"
        raise Refusal(msg)
    allowed = {
        **plain_globals(budget),
        **numpy_globals(),
        **tensor_globals(),
        **storage_globals(),
        **(names or {}),
    }
    content = (read_zip if found == "torch_zip" else read_legacy)(data, allowed, budget)
    check_nesting(content)
    return content


def _open(path: Path) -> tuple[memoryview, Budget]:
    check_is_file(path)
    num_bytes = path.stat().st_size
    if num_bytes == 0:
        msg = "is empty"
        raise Refusal(msg)
    if num_bytes > _MAX_FILE_BYTES:
        msg = f"has {num_bytes} bytes, more than {_MAX_FILE_BYTES}"
        raise Refusal(msg)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return memoryview(mapped), Budget(num_bytes=_MAX_COPIES * num_bytes + _SPARE_BYTES)
