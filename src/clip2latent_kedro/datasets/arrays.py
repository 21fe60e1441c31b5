"""Named arrays in one compressed file."""

import io
import zipfile
from typing import Any

import numpy as np

from clip2latent_kedro.datasets.file import FileDataset
from clip2latent_kedro.errors import InputError

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


class NpzDataset(FileDataset[Arrays]):
    """Named NumPy arrays as a compressed `.npz`; never unpickles."""

    def _to_bytes(self, data: Arrays) -> bytes:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **data)
        return buffer.getvalue()

    def _from_bytes(self, content: bytes) -> Arrays:
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return dict(arrays)
        except (ValueError, zipfile.BadZipFile, EOFError, AttributeError) as error:
            msg = f"{self._filepath} must be an .npz file of plain arrays ({error})."
            raise InputError(msg) from error
