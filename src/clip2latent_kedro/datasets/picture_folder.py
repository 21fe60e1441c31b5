"""A folder of PNG pictures that say in themselves what they show."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.inference import LabelledPicture

Pictures = Mapping[str, LabelledPicture]


class PictureFolderDataset(
    AbstractDataset[Pictures, dict[str, Callable[[], LabelledPicture]]]
):
    """`NAME.png` for each picture, its labels as PNG text.

    Saving adds to what is there. Loading reads no picture before it is asked for.
    """

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

    def save(self, data: Pictures) -> None:
        """Add pictures; one of the same name is replaced, at once or not at all."""
        self._filepath.mkdir(parents=True, exist_ok=True)
        for name, picture in data.items():
            text = PngImagePlugin.PngInfo()
            for key, value in picture.labels.items():
                text.add_itxt(key, value)
            target = self._filepath / f"{name}.png"
            unfinished = self._filepath / f".{name}.partial"
            Image.fromarray(picture.image_u8).save(unfinished, "PNG", pnginfo=text)
            unfinished.replace(target)

    def load(self) -> dict[str, Callable[[], LabelledPicture]]:
        """Return a function for each picture that reads it, by name.

        There are none if there is no folder.
        """
        return {
            path.stem: partial(_read, path)
            for path in sorted(self._filepath.glob("*.png"))
        }

    def _exists(self) -> bool:
        return self._filepath.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def _read(path: Path) -> LabelledPicture:
    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
            labels = {str(key): str(value) for key, value in image.info.items()}
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        msg = f"{path} must be a PNG picture, but cannot be read ({error}). Remove it."
        raise InputError(msg) from error
    return LabelledPicture(pixels, labels)
