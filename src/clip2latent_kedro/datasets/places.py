"""Where files and folders are: on this machine, or on any file system of fsspec.

A file is there as a whole or not at all: on this machine it is written beside its
place and renamed, elsewhere it is uploaded at once, and object stores show no upload
before it ends.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from clip2latent_kedro.files import check_is_file, replacing


@dataclass(frozen=True)
class Place:
    """A file or a folder, whether or not there is one.

    Attributes:
        file_system: Where it is.
        path: As the file system has it, without a protocol.
    """

    file_system: Any
    path: str

    @property
    def local_path(self) -> Path | None:
        """The path on this machine; None if it is elsewhere."""
        is_local = isinstance(self.file_system, LocalFileSystem)
        return Path(self.path) if is_local else None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    def __str__(self) -> str:
        """Return the path, or the address."""
        if self.local_path is not None:
            return self.path
        return str(self.file_system.unstrip_protocol(self.path))

    def __truediv__(self, name: str) -> "Place":
        """Return a place in the folder."""
        return Place(self.file_system, f"{self.path.rstrip('/')}/{name}")

    def exists(self) -> bool:
        """Return whether there is a file or a folder; an empty one is none on S3."""
        if self.local_path is not None:
            return self.local_path.exists()
        self.file_system.invalidate_cache()  # others write there too
        return bool(self.file_system.exists(self.path))

    def list_files(self, suffix: str = "") -> list["Place"]:
        """Return the files right in the folder, by name; none without a folder."""
        if self.local_path is not None:
            names = [path.name for path in self.local_path.glob(f"*{suffix}")]
        else:
            self.file_system.invalidate_cache()
            try:
                found = self.file_system.ls(self.path, detail=True)
            except FileNotFoundError:
                return []
            files = [entry["name"] for entry in found if entry["type"] == "file"]
            names = [PurePosixPath(name).name for name in files]
        return [self / name for name in sorted(names) if name.endswith(suffix)]

    def open(self) -> IO[bytes]:
        """Return the file, open to be read; of a remote one parts are fetched.

        Raises:
            OSError: If there is none, or it is something else.
        """
        if self.local_path is not None:
            check_is_file(self.local_path)
            return self.local_path.open("rb")
        self.file_system.invalidate_cache()
        return cast(IO[bytes], self.file_system.open(self.path, "rb"))

    def read(self) -> bytes:
        """Return the content of the file; see `open`."""
        if self.local_path is not None:
            with self.open() as file:
                return file.read()
        return bytes(self.file_system.cat_file(self.path))

    def write(self, content: bytes, *, suffix: str = "partial") -> None:
        """Write the file, at once or not at all, in place of an older one.

        Args:
            content: Of the file.
            suffix: See `files.replacing`.
        """
        if self.local_path is not None:
            with replacing(self.local_path, suffix=suffix) as partial:
                partial.write_bytes(content)
        else:
            self.file_system.pipe_file(self.path, content)

    def remove(self) -> None:
        """Remove the file; nothing without one."""
        with contextlib.suppress(FileNotFoundError):
            if self.local_path is not None:
                self.local_path.unlink()
            else:
                self.file_system.rm_file(self.path)

    @contextlib.contextmanager
    def fetched(self) -> Iterator[Path]:
        """Yield a path on this machine of the same name and content, for a while."""
        if self.local_path is not None:
            yield self.local_path
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / self.name
            path.write_bytes(self.read())
            yield path

    def upload(self, folder: Path) -> None:
        """Copy all files below a folder of this machine to below this place."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                target = self / path.relative_to(folder).as_posix()
                self.file_system.put_file(str(path), target.path)

    def download(self, folder: Path) -> None:
        """Copy all files below this place to below a folder of this machine."""
        self.file_system.invalidate_cache()
        for found in self.file_system.find(self.path):
            target = folder / PurePosixPath(found).relative_to(self._root())
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(Place(self.file_system, found).read())

    def _root(self) -> str:
        return str(self.file_system._strip_protocol(self.path))


def open_place(
    address: str,
    credentials: Mapping[str, Any] | None = None,
    fs_args: Mapping[str, Any] | None = None,
) -> Place:
    """Return the place of a path or an fsspec address.

    Args:
        address: Such as `data/answers` or `s3://bucket/answers`.
        credentials: Added to `fs_args`.
        fs_args: For the file system.
    """
    options = {**(fs_args or {}), **(credentials or {})}
    if "://" not in address:
        return Place(fsspec.filesystem("file", **options), address)
    file_system, path = fsspec.core.url_to_fs(address, **options)
    return Place(file_system, path)
