"""A file that is kept as it is."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from clip2latent_kedro.files import replacing


class FileCopyDataset(AbstractDataset[Path | Mapping[str, Any], Path]):
    """Saves a copy of a file that is given by its path, byte by byte."""

    def __init__(
        self, *, filepath: str, metadata: dict[str, Any] | None = None
    ) -> None:
        """Point at a file.

        Args:
            filepath: Local path of the copy.
            metadata: For Kedro plugins.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    def save(self, data: Path | Mapping[str, Any]) -> None:
        """Copy a file, at once or not at all; an empty mapping is no file."""
        if not isinstance(data, Path):
            return
        with replacing(self._filepath) as partial:
            shutil.copyfile(data, partial)

    def load(self) -> Path:
        """Return where the copy is.

        Raises:
            DatasetError: If there is none.
        """
        if not self._exists():
            msg = f"{self._filepath} does not exist. Run the pipeline that makes it."
            raise DatasetError(msg)
        return self._filepath

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
