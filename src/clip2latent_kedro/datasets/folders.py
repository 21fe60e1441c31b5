"""Catalog entries of a folder with a file for each item, that is filled bit by bit."""

import base64
import contextlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from clip2latent_kedro.datasets.files import (
    Picture,
    decode_picture,
    encode_picture,
    pack_arrays,
)
from clip2latent_kedro.datasets.places import Place, open_place
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.inference import LabelledPicture
from clip2latent_kedro.reading import array_names, parse_json, read_json, read_npz
from clip2latent_kedro.study.validation import ValidationPictures

Record = Mapping[str, Any]
Arrays = Mapping[str, np.ndarray[Any, np.dtype[Any]]]
_LEFT_SECONDS = 600.0  # an unfinished file of this age is no longer being written
RECORD = "record"  # the array that holds the record, as JSON


class FolderDataset(AbstractDataset[Any, Any]):
    """A folder of `NAME` + `suffix` for each item of a mapping, here or elsewhere.

    Saving adds to what is there; an item of the same name is replaced. A file is there
    as a whole or not at all. Loading returns all items by name, none if there is no
    folder. A subclass says how an item becomes a file and back.
    """

    suffix: ClassVar[str]

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a folder.

        Args:
            filepath: Local path or fsspec URL, made when something is saved.
            credentials: For the file system.
            fs_args: For the file system.
            metadata: For Kedro plugins.
        """
        self._folder = open_place(filepath, credentials, fs_args)
        self.metadata = metadata

    def save(self, data: Any) -> None:
        """Add items, each at once or not at all."""
        if self._folder.local_path is not None:
            self._folder.local_path.mkdir(parents=True, exist_ok=True)
        for name, item in data.items():
            content = self._to_bytes(item)
            self._remove_left()
            # Another run may be writing the same item.
            own = f"{os.getpid()}.partial"
            (self._folder / f"{name}{self.suffix}").write(content, suffix=own)

    def load(self) -> dict[Any, Any]:
        """Return the items by name, in the order of names."""
        return {
            place.name.removesuffix(self.suffix): self._from_file(place)
            for place in self._folder.list_files(self.suffix)
        }

    def _remove_left(self) -> None:
        """Remove what a killed run has left; a run that writes has just touched its."""
        folder = self._folder.local_path
        for left in () if folder is None else folder.glob(".*.partial"):
            with contextlib.suppress(FileNotFoundError):  # it is there under its name
                if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                    left.unlink()

    def _to_bytes(self, item: Any) -> bytes:
        """Return the content of the file of an item."""
        raise NotImplementedError

    def _from_file(self, place: Place) -> Any:
        """Return the item of a file."""
        raise NotImplementedError

    def _exists(self) -> bool:
        folder = self._folder.local_path
        return self._folder.exists() if folder is None else folder.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}


class JsonFolderDataset(FolderDataset):
    """A JSON document for each item."""

    suffix = ".json"

    def _to_bytes(self, item: Any) -> bytes:
        return json.dumps(item, allow_nan=False).encode()

    def _from_file(self, place: Place) -> Any:
        return _read_document(place)


class ArrayFolderDataset(FolderDataset):
    """Compressed arrays by name, with a record as plain JSON, for each item.

    Loading reads the records; an array is read when it is asked for. Nothing is
    unpickled.
    """

    suffix = ".npz"

    def _to_bytes(self, item: tuple[Arrays, Record]) -> bytes:
        arrays, record = item
        return pack_arrays({**arrays, RECORD: np.array(json.dumps(record))})

    def _from_file(self, place: Place) -> tuple[Arrays, Record]:
        try:
            record = parse_json(str(_read_arrays(place, (RECORD,))[RECORD]))
            if isinstance(record, Mapping):
                return StoredArrays(place), record
            error = f"its record is {str(record)[:80]!r}"
        except ValueError as refusal:
            error = str(refusal)
        msg = f"{place} must be arrays with a record, but cannot be read ({error}). "
        raise InputError(msg + "Remove it.")


class StoredArrays(Mapping[str, np.ndarray[Any, np.dtype[Any]]]):
    """The arrays of a file, each read when it is asked for."""

    def __init__(self, place: Place) -> None:
        """Point at a file of `ArrayFolderDataset`."""
        self._place = place

    def __getitem__(self, name: str) -> np.ndarray[Any, np.dtype[Any]]:
        """Read an array; `KeyError` if there is none of the name."""
        if name not in self._names():
            raise KeyError(name)
        return _read_arrays(self._place, (name,))[name]

    def __contains__(self, name: object) -> bool:
        """Return whether there is an array of the name, without reading it."""
        return name in list(self)

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the arrays."""
        yield from (name for name in self._names() if name != RECORD)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(list(iter(self)))

    def _names(self) -> list[str]:
        place = self._place
        if place.local_path is not None:
            return array_names(place.local_path)
        with place.open() as file:
            return array_names(file, str(place))


class PictureFolderDataset(FolderDataset):
    """A PNG picture for each item, its labels as PNG text.

    Loading returns a function for each picture that reads it.
    """

    suffix = ".png"

    def _to_bytes(self, item: LabelledPicture) -> bytes:
        text = PngImagePlugin.PngInfo()
        for key, value in item.labels.items():
            text.add_itxt(key, value)
        buffer = io.BytesIO()
        Image.fromarray(item.image_u8).save(buffer, "PNG", pnginfo=text)
        return buffer.getvalue()

    def _from_file(self, place: Place) -> Callable[[], LabelledPicture]:
        return partial(_read_labelled, place)


class ValidationPicturesDataset(FolderDataset):
    """A PNG picture for each validation of a run, named by its step.

    Saving removes pictures of steps that are not of the run. Loading returns, by step,
    a function for each picture that reads it.
    """

    suffix = ".png"

    def save(self, data: ValidationPictures) -> None:
        """Add pictures, and drop those of steps that are not of the run."""
        for step, place in self._steps().items():
            if step not in data.steps:
                place.remove()
        super().save({f"{step:07d}": data.pictures[step] for step in data.pictures})

    def load(self) -> dict[int, Callable[[], Picture]]:
        """Return a function for each picture that reads it, by step."""
        return {step: partial(_read, place) for step, place in self._steps().items()}

    def preview(self) -> ImagePreview:
        """Return the last picture, in base64."""
        places = list(self._steps().values())
        if not places:
            msg = f"There are no pictures in {self._folder}."
            raise DatasetError(msg)
        return ImagePreview(base64.b64encode(places[-1].read()).decode())

    def _to_bytes(self, item: Picture) -> bytes:
        return encode_picture(item)

    def _steps(self) -> dict[int, Place]:
        places = self._folder.list_files(self.suffix)
        stems = {place.name.removesuffix(self.suffix): place for place in places}
        steps = {int(stem): place for stem, place in stems.items() if stem.isdigit()}
        return dict(sorted(steps.items()))


def _read(place: Place) -> Picture:
    return decode_picture(place.read())


def _read_document(place: Place) -> Any:
    if place.local_path is not None:
        return read_json(place.local_path, mend="Remove it.")
    try:
        return parse_json(place.read().decode())
    except ValueError as error:
        msg = f"{place} must be a JSON file, but cannot be read ({error}). Remove it."
        raise InputError(msg) from error


def _read_arrays(place: Place, names: tuple[str, ...]) -> Arrays:
    if place.local_path is not None:
        return read_npz(place.local_path, str(place), names)
    with place.open() as file:
        return read_npz(file, str(place), names)


def _read_labelled(place: Place) -> LabelledPicture:
    try:
        with place.open() as file, Image.open(file) as image:
            pixels = np.array(image.convert("RGB"))
            labels = {str(key): str(value) for key, value in image.info.items()}
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        msg = f"{place} must be a PNG picture, but cannot be read ({error}). Remove it."
        raise InputError(msg) from error
    return LabelledPicture(pixels, labels)
