"""The pictures of all validations of a run."""

import base64
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kedro.io import DatasetError
from kedro_datasets._typing import ImagePreview

from clip2latent_kedro.datasets.folder import FolderDataset
from clip2latent_kedro.datasets.pictures import (
    Picture,
    decode_picture,
    encode_picture,
)
from clip2latent_kedro.study.validation import ValidationPictures


class ValidationPicturesDataset(
    FolderDataset[ValidationPictures, dict[int, Callable[[], Picture]]]
):
    """A local folder with a PNG file for each validation, named by its step.

    Saving adds pictures, and removes those that are not of the run.
    """

    suffix = ".png"

    def save(self, data: ValidationPictures) -> None:
        """Add pictures, and drop those of steps that are not of the run."""
        self._filepath.mkdir(parents=True, exist_ok=True)
        for step, path in self._steps().items():
            if step not in data.steps:
                path.unlink()
        for step, picture in data.pictures.items():
            self._write(f"{step:07d}", encode_picture(picture))

    def load(self) -> dict[int, Callable[[], Picture]]:
        """Return a function for each picture that reads it, by step."""
        return {step: partial(_read, path) for step, path in self._steps().items()}

    def preview(self) -> ImagePreview:
        """Return the last picture, in base64."""
        paths = list(self._steps().values())
        if not paths:
            msg = f"There are no pictures in {self._filepath}."
            raise DatasetError(msg)
        return ImagePreview(base64.b64encode(paths[-1].read_bytes()).decode())

    def _steps(self) -> dict[int, Path]:
        named = self._stored().items()
        steps = {int(name): path for name, path in named if name.isdigit()}
        return dict(sorted(steps.items()))


def _read(path: Path) -> Picture:
    return decode_picture(path.read_bytes())
