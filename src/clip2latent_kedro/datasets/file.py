"""What every catalog entry of one file shares: place, version, atomic writing."""

from abc import abstractmethod
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

import fsspec
from kedro.io import AbstractVersionedDataset, DatasetError, Version
from kedro.io.core import get_filepath_str, get_protocol_and_path

from clip2latent_kedro.files import check_is_file, replacing

T = TypeVar("T")


class FileDataset(AbstractVersionedDataset[T, T], Generic[T]):
    """One file, local or on any fsspec file system, that may be versioned.

    A subclass says how data become bytes (`_to_bytes`) and back (`_from_bytes`). A
    local file is written beside its place and then renamed, so that it is there as a
    whole or not at all.
    """

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a file.

        Args:
            filepath: Local path or fsspec URL.
            version: Set by Kedro for a versioned entry.
            credentials: For the file system.
            fs_args: For the file system.
            metadata: For Kedro plugins.
        """
        protocol, path = get_protocol_and_path(filepath, version)
        self._protocol = protocol
        self._fs = fsspec.filesystem(protocol, **(credentials or {}), **(fs_args or {}))
        self.metadata = metadata
        super().__init__(
            filepath=PurePosixPath(path),
            version=version,
            exists_function=self._fs.exists,
            glob_function=self._fs.glob,
        )

    @abstractmethod
    def _to_bytes(self, data: T) -> bytes:
        """Return the content of the file."""

    @abstractmethod
    def _from_bytes(self, content: bytes) -> T:
        """Return the data that a file holds."""

    def load(self) -> T:
        """Return what the file holds."""
        path = get_filepath_str(self._get_load_path(), self._protocol)
        if self._protocol == "file":
            check_is_file(Path(path))
        with self._fs.open(path, "rb") as file:
            return self._from_bytes(file.read())

    def save(self, data: T) -> None:
        """Write the file, in place of an older one."""
        path = get_filepath_str(self._get_save_path(), self._protocol)
        content = self._to_bytes(data)
        if self._protocol == "file":
            target = Path(path)
            for left in Path(self._filepath).glob(f"*/.{target.name}.partial"):
                left.unlink(missing_ok=True)  # of a killed run's version
            with replacing(target) as partial:
                partial.write_bytes(content)
        else:
            with self._fs.open(path, "wb") as file:
                file.write(content)
        self._fs.invalidate_cache(str(self._filepath))

    def _exists(self) -> bool:
        try:
            path = get_filepath_str(self._get_load_path(), self._protocol)
        except DatasetError:
            return False
        return bool(self._fs.exists(path))

    def _release(self) -> None:
        super()._release()
        self._fs.invalidate_cache(str(self._filepath))

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": self._filepath,
            "protocol": self._protocol,
            "version": self._version,
        }
