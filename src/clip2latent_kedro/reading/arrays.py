"""NumPy's files, `.npy` and `.npz`: nothing is unpickled, or unpacked unbounded."""

import tokenize  # numpy reads headers of its first versions by it
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import check_is_file
from clip2latent_kedro.reading.weights import first_line

Array = np.ndarray[Any, np.dtype[Any]]

_SUFFIX = ".npy"
# An archive may unpack to so many times its size, and what even a small one may.
_MAX_RATIO = 100
_SPARE_BYTES = 1 << 30
_UNREADABLE = (
    *(OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, SyntaxError),
    *(MemoryError, OverflowError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)


def read_npy(path: Path) -> Array:
    """Return the array in a `.npy` file.

    Raises:
        InputError: If it is not there, or is no array of numbers as large as it says.
    """
    with _as_input_error(path, ".npy file of numbers"):
        check_is_file(path)
        with path.open("rb") as file:
            _check_header(file, path.stat().st_size)
            file.seek(0)
            array: Array = np.load(file, allow_pickle=False)
            return array


def read_npz(
    file: Path | IO[bytes], name: str, only: Collection[str] | None = None
) -> dict[str, Array]:
    """Return the arrays in an `.npz` file, by name.

    Args:
        file: Path or content.
        name: Name of the file, for the message.
        only: Names of those that are wanted, each of which must be there; None for
            all.

    Raises:
        InputError: If it is not there, or is no archive of plain arrays.
    """
    with _as_input_error(name, ".npz file of plain arrays"):
        if isinstance(file, Path):
            check_is_file(file)
        with zipfile.ZipFile(file) as archive:
            names = _names(archive)
            wanted = names if only is None else {key: names[key] for key in only}
            return {key: _read_member(archive, info) for key, info in wanted.items()}


def array_names(file: Path | IO[bytes], name: str | None = None) -> list[str]:
    """Return the names of the arrays in an `.npz` file.

    Args:
        file: Path or content.
        name: Name of the file, for the message; None for its path.

    Raises:
        InputError: Where `read_npz` raises it.
    """
    with _as_input_error(name or str(file), ".npz file of plain arrays"):
        if isinstance(file, Path):
            check_is_file(file)
        with zipfile.ZipFile(file) as archive:
            return list(_names(archive))


def _names(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name, once they are known not to unpack to too much."""
    members = archive.infolist()
    packed, whole = (
        sum(getattr(info, size) for info in members)
        for size in ("compress_size", "file_size")
    )
    if whole > _MAX_RATIO * packed + _SPARE_BYTES:
        msg = f"it would unpack {packed} bytes to {whole}"
        raise ValueError(msg)
    return {info.filename.removesuffix(_SUFFIX): info for info in members}


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as member:
        _check_header(member, info.file_size)
    with archive.open(info) as member:
        array: Array = npy.read_array(member, allow_pickle=False)
        return array


def _check_header(file: IO[bytes], num_bytes: int) -> None:
    """Check that a file has room for just the numbers that its header claims."""
    version = npy.read_magic(file)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    shape, _, dtype = read[version](file)
    if dtype.hasobject or dtype.itemsize == 0:
        msg = f"it has the dtype {dtype}"
        raise ValueError(msg)
    claimed, there = prod(shape) * dtype.itemsize, num_bytes - file.tell()
    if claimed != there or any(size < 0 for size in shape):
        msg = (
            f"its shape {list(shape)} of {dtype} takes {claimed} bytes, and there are "
            f"{there}"
        )
        raise ValueError(msg)


@contextmanager
def _as_input_error(name: str | Path, expected: str) -> Iterator[None]:
    """Raise `InputError`, in one sentence, of whatever a file of arrays raises."""
    try:
        yield
    except _UNREADABLE as error:
        reason = first_line(error)
        if isinstance(error, OSError) and error.strerror:
            reason = f"it cannot be read ({error.strerror})"
        elif isinstance(error, KeyError):
            reason = f"it has no array {str(error)[:80]}"
        raise InputError(f"{name} must be an {expected}, but {reason}.") from error
