"""A folder of named arrays, with what made them, that is filled bit by bit."""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from clip2latent_kedro.datasets.folder import FolderDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.reading import array_names, parse_json, read_npz

Arrays = Mapping[str, np.ndarray[Any, np.dtype[Any]]]
Record = Mapping[str, Any]
RECORD = "record"  # the array that holds the record, as JSON


class StoredArrays(Mapping[str, np.ndarray[Any, np.dtype[Any]]]):
    """The arrays of a file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        """Point at a file of `ArrayFolderDataset`."""
        self._path = path

    def __getitem__(self, name: str) -> np.ndarray[Any, np.dtype[Any]]:
        """Read an array; `KeyError` if there is none of the name."""
        if name not in array_names(self._path):
            raise KeyError(name)
        return read_npz(self._path, str(self._path), (name,))[name]

    def __contains__(self, name: object) -> bool:
        """Return whether there is an array of the name, without reading it."""
        return name in list(self)

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the arrays."""
        yield from (name for name in array_names(self._path) if name != RECORD)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(list(iter(self)))


class ArrayFolderDataset(
    FolderDataset[Mapping[str, tuple[Arrays, Record]], dict[str, tuple[Arrays, Record]]]
):
    """`NAME.npz` for each item: its arrays, compressed, and a record as plain JSON.

    Saving adds to what is there. Loading reads the records; an array is read when it
    is asked for. Nothing is unpickled.
    """

    suffix = ".npz"

    def save(self, data: Mapping[str, tuple[Arrays, Record]]) -> None:
        """Add items; one of the same name is replaced, at once or not at all."""
        self._filepath.mkdir(parents=True, exist_ok=True)
        for name, (arrays, record) in data.items():
            buffer = io.BytesIO()
            text = np.array(json.dumps(record))
            np.savez_compressed(buffer, allow_pickle=False, **{**arrays, RECORD: text})
            self._write(name, buffer.getvalue())

    def load(self) -> dict[str, tuple[Arrays, Record]]:
        """Return, by name, the arrays of an item and its record.

        There are none if there is no folder.

        Raises:
            InputError: If one of the files is not such a file.
        """
        return {
            name: (StoredArrays(path), _read_record(path))
            for name, path in self._stored().items()
        }


def _read_record(path: Path) -> Record:
    try:
        record = parse_json(str(read_npz(path, str(path), (RECORD,))[RECORD]))
        if isinstance(record, Mapping):
            return record
        error = f"its record is {str(record)[:80]!r}"
    except ValueError as refusal:
        error = str(refusal)
    msg = f"{path} must be arrays with a record, but cannot be read ({error}). "
    raise InputError(msg + "Remove it.")
