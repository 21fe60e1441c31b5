"""The pictures of all validations of a run."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview

from clip2latent_kedro.datasets.pictures import Picture, PicturesDataset
from clip2latent_kedro.evaluation.validation import ValidationPictures


class ValidationPicturesDataset(
    AbstractDataset[ValidationPictures, dict[int, Callable[[], Picture]]]
):
    """A local folder with a PNG file for each validation, named by its step.

    Saving adds pictures, and removes those that are not of the run.
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

    def save(self, data: ValidationPictures) -> None:
        """Add pictures, and drop those of steps that are not of the run."""
        self._filepath.mkdir(parents=True, exist_ok=True)
        for step, path in self._stored().items():
            if step not in data.steps:
                path.unlink()
        for step, picture in data.pictures.items():
            self._entry(self._filepath / f"{step:07d}.png").save(picture)

    def load(self) -> dict[int, Callable[[], Picture]]:
        """Return a function for each picture that reads it, by step."""
        return {step: self._entry(path).load for step, path in self._stored().items()}

    def preview(self) -> ImagePreview:
        """Return the last picture, in base64."""
        paths = list(self._stored().values())
        if not paths:
            msg = f"There are no pictures in {self._filepath}."
            raise DatasetError(msg)
        return ImagePreview(base64.b64encode(paths[-1].read_bytes()).decode())

    def _stored(self) -> dict[int, Path]:
        paths = self._filepath.glob("*.png")
        steps = {int(path.stem): path for path in paths if path.stem.isdigit()}
        return dict(sorted(steps.items()))

    @staticmethod
    def _entry(path: Path) -> PicturesDataset:
        return PicturesDataset(filepath=str(path))

    def _exists(self) -> bool:
        return self._filepath.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
