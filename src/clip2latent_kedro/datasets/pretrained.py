"""A whole model as a folder in Hugging Face's layout, as a catalog entry."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

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
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a folder.

        Args:
            filepath: Local path.
            include: `generator`, `encoder` or both: what to copy into the folder
                rather than to name.
            licence: Of the prior, as Hugging Face abbreviates it.
            metadata: For Kedro plugins.
        """
        self._filepath = Path(filepath)
        self._include = list(include or [])
        self._licence = licence
        self.metadata = metadata

    def load(self) -> SharedModel:
        """Return the model; generator and encoder are not loaded."""
        return read_folder(self._filepath)

    def save(self, data: SharedModel) -> None:
        """Write the folder, in place of files of the same names."""
        write_folder(self._filepath, data, include=self._include, licence=self._licence)

    def _exists(self) -> bool:
        return (self._filepath / MODEL_FILE).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "include": self._include}
