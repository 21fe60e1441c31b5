"""What every catalog entry of a folder of files shares: place, atomic writing."""

from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from kedro.io import AbstractDataset

from clip2latent_kedro.files import replacing

Saved = TypeVar("Saved")
Loaded = TypeVar("Loaded")


class FolderDataset(AbstractDataset[Saved, Loaded], Generic[Saved, Loaded]):
    """A local folder of files of one kind, that is filled bit by bit.

    A subclass says how data become files (`save`, by `_write`) and back (`load`, by
    `_stored`). A file is there as a whole or not at all.
    """

    suffix: ClassVar[str]

    def __init__(
        self, *, filepath: str, metadata: dict[str, Any] | None = None
    ) -> None:
        """Point at a folder.

        Args:
            filepath: Local path, made when something is saved.
            metadata: For Kedro plugins.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    def _write(self, name: str, content: bytes) -> None:
        """Write a file, in place of an older one."""
        for left in self._filepath.glob(".*.partial"):
            left.unlink(missing_ok=True)  # of a killed run
        with replacing(self._filepath / f"{name}{self.suffix}") as partial:
            partial.write_bytes(content)

    def _stored(self) -> dict[str, Path]:
        """Return the files that are there, by name and in the order of names."""
        paths = sorted(self._filepath.glob(f"*{self.suffix}"))
        return {path.name.removesuffix(self.suffix): path for path in paths}

    def _exists(self) -> bool:
        return self._filepath.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
