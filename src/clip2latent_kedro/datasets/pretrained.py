"""A whole model as a folder in Hugging Face's layout, as a catalog entry."""

import tempfile
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from clip2latent_kedro.datasets.places import open_place
from clip2latent_kedro.sharing import (
    MODEL_FILE,
    SharedModel,
    read_folder,
    write_folder,
)


class PretrainedFolderDataset(AbstractDataset[SharedModel, SharedModel]):
    """What `Clip2StyleGAN.from_pretrained` loads."""

    def __init__(
        self,
        *,
        filepath: str,
        include: list[str] | None = None,
        licence: str = "other",
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a folder.

        Args:
            filepath: Local path or fsspec URL.
            include: `generator`, `encoder` or both: what to copy into the folder
                rather than to name.
            licence: Of the prior, as Hugging Face abbreviates it.
            credentials: For the file system.
            fs_args: For the file system.
            metadata: For Kedro plugins.
        """
        self._folder = open_place(filepath, credentials, fs_args)
        self._fetched: tempfile.TemporaryDirectory[str] | None = None
        self._include = list(include or [])
        self._licence = licence
        self.metadata = metadata

    def load(self) -> SharedModel:
        """Return the model; generator and encoder are not loaded."""
        if self._folder.local_path is not None:
            return read_folder(self._folder.local_path)
        # What the folder brings is read from it later, so that the copy stays.
        self._fetched = tempfile.TemporaryDirectory()
        self._folder.download(Path(self._fetched.name))
        return read_folder(Path(self._fetched.name))

    def save(self, data: SharedModel) -> None:
        """Write the folder, in place of files of the same names."""
        if self._folder.local_path is not None:
            self._write(self._folder.local_path, data)
            return
        with tempfile.TemporaryDirectory() as folder:
            self._write(Path(folder), data)
            self._folder.upload(Path(folder))

    def _write(self, folder: Path, data: SharedModel) -> None:
        write_folder(folder, data, include=self._include, licence=self._licence)

    def _exists(self) -> bool:
        return (self._folder / MODEL_FILE).exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder), "include": self._include}
