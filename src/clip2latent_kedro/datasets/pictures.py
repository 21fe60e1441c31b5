"""A picture that kedro viz shows and that can be loaded back."""

import base64
import io
from typing import Any

import numpy as np
from kedro_datasets._typing import ImagePreview
from PIL import Image

from clip2latent_kedro.datasets.file import FileDataset

Picture = np.ndarray[Any, np.dtype[np.uint8]]


class PicturesDataset(FileDataset[Picture]):
    """An RGB picture, uint8 [h, w, 3], as PNG; often a grid of generated images."""

    def _to_bytes(self, data: Picture) -> bytes:
        return encode_picture(data)

    def _from_bytes(self, content: bytes) -> Picture:
        return decode_picture(content)

    def preview(self) -> ImagePreview:
        """Return the PNG file in base64."""
        return ImagePreview(base64.b64encode(self._to_bytes(self.load())).decode())


def encode_picture(picture: Picture) -> bytes:
    """Return a picture, uint8 [h, w, 3], as PNG."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        shape = list(picture.shape)
        msg = f"A picture must be uint8 [h, w, 3], got {picture.dtype} {shape}."
        raise ValueError(msg)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def decode_picture(content: bytes) -> Picture:
    """Return the picture, uint8 [h, w, 3], of a PNG file."""
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image.convert("RGB"))
