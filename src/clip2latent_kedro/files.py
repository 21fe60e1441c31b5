"""Files that are written as a whole or not at all, and read if they are files."""

import contextlib
import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path


def check_is_file(path: Path) -> None:
    """Check that a path is that of a file: to read a pipe or a device may never end.

    Raises:
        OSError: If it is something else, or nothing.
    """
    path.stat()  # says why there is nothing
    if not path.is_file():
        raise OSError(errno.EINVAL, "it is no file", str(path))


@contextlib.contextmanager
def replacing(path: Path, *, suffix: str = "partial") -> Iterator[Path]:
    """Yield a hidden file to write, which then takes the place of `path` at once.

    It has the mode of any new file, by the umask, whatever mode its writer gives it:
    that of safetensors writes files for their owner alone. The folder is made. What a
    killed process leaves is replaced by the next one that writes the same file.

    Args:
        path: Where the file is to be.
        suffix: Of the hidden file; one of its own for each process where several may
            write the same file at a time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{suffix}")
    try:
        partial.unlink(missing_ok=True)
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        if partial.stat().st_mode != mode:
            partial.chmod(mode & 0o777)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
