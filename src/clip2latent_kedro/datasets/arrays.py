"""Named arrays in one compressed file."""

import io
from typing import Any

import numpy as np

from clip2latent_kedro.datasets.file import FileDataset
from clip2latent_kedro.reading import read_npz

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


class NpzDataset(FileDataset[Arrays]):
    """Named NumPy arrays as a compressed `.npz`; never unpickles."""

    def _to_bytes(self, data: Arrays) -> bytes:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **data)
        return buffer.getvalue()

    def _from_bytes(self, content: bytes) -> Arrays:
        return read_npz(io.BytesIO(content), str(self._filepath))
