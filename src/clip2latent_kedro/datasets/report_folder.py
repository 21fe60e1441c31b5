"""A folder of texts and pictures that belong together, as one versioned entry."""

import shutil
from collections.abc import Mapping
from glob import glob  # of whole paths, as Kedro asks
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractVersionedDataset, DatasetError, Version
from kedro.io.core import get_protocol_and_path

from clip2latent_kedro.datasets.pictures import (
    Picture,
    decode_picture,
    encode_picture,
)

PICTURE = ".png"  # files of other names are texts in UTF-8
Files = Mapping[str, str | Picture]


class ReportFolderDataset(AbstractVersionedDataset[Files, dict[str, str | Picture]]):
    """Files by name: pictures, uint8 [h, w, 3], end with .png; texts do not."""

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a folder.

        Args:
            filepath: Local path.
            version: Set by Kedro for a versioned entry.
            metadata: For Kedro plugins.
        """
        _, path = get_protocol_and_path(filepath, version)
        self.metadata = metadata
        super().__init__(
            filepath=PurePosixPath(path),
            version=version,
            exists_function=lambda place: Path(place).exists(),
            glob_function=glob,
        )

    def save(self, data: Files) -> None:
        """Write the folder as a whole, beside its place first."""
        folder = Path(self._get_save_path())
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        for left in Path(self._filepath).glob(f"*/.{folder.name}.partial"):
            shutil.rmtree(left.parent, ignore_errors=True)  # a killed run's version
        partial.mkdir(parents=True)
        for name, content in data.items():
            written = (
                content.encode()
                if isinstance(content, str)
                else encode_picture(content)
            )
            (partial / name).write_bytes(written)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)

    def load(self) -> dict[str, str | Picture]:
        """Return the files by name."""
        paths = sorted(Path(self._get_load_path()).iterdir())
        return {
            path.name: decode_picture(path.read_bytes())
            if path.suffix == PICTURE
            else path.read_text(encoding="utf-8")
            for path in paths
        }

    def _exists(self) -> bool:
        try:
            return Path(self._get_load_path()).is_dir()
        except DatasetError:  # there is no version yet
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}
