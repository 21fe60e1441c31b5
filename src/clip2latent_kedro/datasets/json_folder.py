"""A folder of JSON files that is filled bit by bit."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from clip2latent_kedro.errors import InputError

Documents = Mapping[str, Any]


class JsonFolderDataset(AbstractDataset[Documents, dict[str, Any]]):
    """`NAME.json` for each document; saving adds to what is there."""

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

    def save(self, data: Documents) -> None:
        """Add documents; one of the same name is replaced, at once or not at all."""
        self._filepath.mkdir(parents=True, exist_ok=True)
        for name, document in data.items():
            unfinished = self._filepath / f".{name}.partial"
            unfinished.write_text(json.dumps(document, allow_nan=False))
            unfinished.replace(self._filepath / f"{name}.json")

    def load(self) -> dict[str, Any]:
        """Return all documents by name; none if there is no folder.

        Raises:
            InputError: If one of the files is not JSON.
        """
        return {
            path.stem: _read(path) for path in sorted(self._filepath.glob("*.json"))
        }

    def _exists(self) -> bool:
        return self._filepath.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        msg = f"{path} must be a JSON file, but cannot be read ({error}). Remove it."
        raise InputError(msg) from error
