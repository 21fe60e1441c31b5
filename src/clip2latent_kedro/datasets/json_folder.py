"""A folder of JSON files that is filled bit by bit."""

import json
from collections.abc import Mapping
from typing import Any

from clip2latent_kedro.datasets.folder import FolderDataset
from clip2latent_kedro.reading import read_json

Documents = Mapping[str, Any]


class JsonFolderDataset(FolderDataset[Documents, dict[str, Any]]):
    """`NAME.json` for each document; saving adds to what is there."""

    suffix = ".json"

    def save(self, data: Documents) -> None:
        """Add documents; one of the same name is replaced, at once or not at all."""
        self._filepath.mkdir(parents=True, exist_ok=True)
        for name, document in data.items():
            self._write(name, json.dumps(document, allow_nan=False).encode())

    def load(self) -> dict[str, Any]:
        """Return all documents by name; none if there is no folder.

        Raises:
            InputError: If one of the files is not JSON.
        """
        return {
            name: read_json(path, mend="Remove it.")
            for name, path in self._stored().items()
        }
