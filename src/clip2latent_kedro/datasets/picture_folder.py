"""A folder of PNG pictures that say in themselves what they show."""

import io
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from clip2latent_kedro.datasets.folder import FolderDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import check_is_file
from clip2latent_kedro.inference import LabelledPicture

Pictures = Mapping[str, LabelledPicture]


class PictureFolderDataset(
    FolderDataset[Pictures, dict[str, Callable[[], LabelledPicture]]]
):
    """`NAME.png` for each picture, its labels as PNG text.

    Saving adds to what is there. Loading reads no picture before it is asked for.
    """

    suffix = ".png"

    def save(self, data: Pictures) -> None:
        """Add pictures; one of the same name is replaced, at once or not at all."""
        self._filepath.mkdir(parents=True, exist_ok=True)
        for name, picture in data.items():
            text = PngImagePlugin.PngInfo()
            for key, value in picture.labels.items():
                text.add_itxt(key, value)
            buffer = io.BytesIO()
            Image.fromarray(picture.image_u8).save(buffer, "PNG", pnginfo=text)
            self._write(name, buffer.getvalue())

    def load(self) -> dict[str, Callable[[], LabelledPicture]]:
        """Return a function for each picture that reads it, by name.

        There are none if there is no folder.
        """
        return {name: partial(_read, path) for name, path in self._stored().items()}


def _read(path: Path) -> LabelledPicture:
    try:
        check_is_file(path)
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
            labels = {str(key): str(value) for key, value in image.info.items()}
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        msg = f"{path} must be a PNG picture, but cannot be read ({error}). Remove it."
        raise InputError(msg) from error
    return LabelledPicture(pixels, labels)
