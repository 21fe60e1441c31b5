"""Catalog entries of one file, or of one folder that is written as a whole."""

import base64
import errno
import io
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

import fsspec
import numpy as np
import safetensors.torch
from kedro.io import AbstractVersionedDataset, DatasetError, Version
from kedro.io.core import get_filepath_str, get_protocol_and_path
from kedro_datasets._typing import HTMLPreview, ImagePreview
from PIL import Image
from torch import Tensor

from clip2latent_kedro.datasets.places import Place
from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.files import replacing
from clip2latent_kedro.reading import parse_weights, read_npz

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]
Picture = np.ndarray[Any, np.dtype[np.uint8]]
Weights = tuple[Mapping[str, Tensor], Mapping[str, str]]

T = TypeVar("T")


class FileDataset(AbstractVersionedDataset[T, T], Generic[T]):
    """One file, local or on any fsspec file system, that may be versioned.

    A subclass says how data become bytes (`_to_bytes`) and back (`_from_bytes`). A
    local file is written beside its place and then renamed, so that it is there as a
    whole or not at all.
    """

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        missing_ok: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a file.

        Args:
            filepath: Local path or fsspec URL.
            version: Set by Kedro for a versioned entry.
            credentials: For the file system.
            fs_args: For the file system.
            missing_ok: Whether to load None, rather than fail, where there is no file.
            metadata: For Kedro plugins.
        """
        protocol, path = get_protocol_and_path(filepath, version)
        self._protocol = protocol
        self._fs = fsspec.filesystem(protocol, **(credentials or {}), **(fs_args or {}))
        self._missing_ok = missing_ok
        self.metadata = metadata
        super().__init__(
            filepath=PurePosixPath(path),
            version=version,
            exists_function=self._fs.exists,
            glob_function=self._fs.glob,
        )

    def _to_bytes(self, data: T) -> bytes:
        """Return the content of the file."""
        raise NotImplementedError

    def _from_bytes(self, content: bytes) -> T:
        """Return the data that a file holds."""
        raise NotImplementedError

    def load(self) -> Any:
        """Return what the file holds (see `missing_ok`)."""
        if self._missing_ok and not self._exists():
            return None
        return self._from_bytes(self._load_place().read())

    def save(self, data: T) -> None:
        """Write the file, in place of an older one."""
        content, place = self._to_bytes(data), self._save_place()
        if self._protocol == "file":
            for left in Path(self._filepath).glob(f"*/.{place.name}.partial"):
                left.unlink(missing_ok=True)  # of a killed run's version
        place.write(content)
        self._fs.invalidate_cache()

    def _load_place(self) -> Place:
        return self._place(self._get_load_path())

    def _save_place(self) -> Place:
        return self._place(self._get_save_path())

    def _place(self, path: PurePosixPath) -> Place:
        full = get_filepath_str(path, self._protocol)
        is_local = self._protocol == "file"
        return Place(self._fs, full if is_local else self._fs._strip_protocol(full))

    def _exists(self) -> bool:
        try:
            return self._load_place().exists()
        except DatasetError:
            return False

    def _release(self) -> None:
        super()._release()
        self._fs.invalidate_cache(str(self._filepath))

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": self._filepath,
            "protocol": self._protocol,
            "version": self._version,
        }


class NpzDataset(FileDataset[Arrays]):
    """Named NumPy arrays as a compressed `.npz`; never unpickles."""

    def _to_bytes(self, data: Arrays) -> bytes:
        return pack_arrays(data)

    def _from_bytes(self, content: bytes) -> Arrays:
        return read_npz(io.BytesIO(content), str(self._filepath))


class HTMLReportDataset(FileDataset[str]):
    """HTML text in UTF-8, previewed as a page."""

    def _to_bytes(self, data: str) -> bytes:
        return data.encode()

    def _from_bytes(self, content: bytes) -> str:
        return content.decode()

    def preview(self) -> HTMLPreview:
        """Return the page."""
        return HTMLPreview(self.load() or "")


class PicturesDataset(FileDataset[Picture]):
    """An RGB picture, uint8 [h, w, 3], as PNG; often a grid of generated images."""

    def _to_bytes(self, data: Picture) -> bytes:
        return encode_picture(data)

    def _from_bytes(self, content: bytes) -> Picture:
        return decode_picture(content)

    def preview(self) -> ImagePreview:
        """Return the PNG file in base64."""
        return ImagePreview(base64.b64encode(self._load_place().read()).decode())


class WeightsDataset(FileDataset[Any]):
    """A pair of named tensors and named strings, as safetensors with metadata.

    With `missing_ok` an empty pair is loaded where there is no file, and where it is
    damaged the `InputError` that says why: a run that does not resume does without.
    """

    def load(self) -> Weights | InputError:
        """Return named tensors and named strings."""
        weights: Weights | InputError | None = super().load()
        return ({}, {}) if weights is None else weights

    def _to_bytes(self, data: Weights) -> bytes:
        return pack_weights(data)

    def _from_bytes(self, content: bytes) -> Weights | InputError:
        try:
            return parse_weights(content, str(self._filepath), mend="Remove it.")
        except InputError as error:
            if self._missing_ok:
                return error
            raise


class FileCopyDataset(FileDataset[Any]):
    """Saves a copy of a local file that is given by its path, byte by byte."""

    _fetched: tempfile.TemporaryDirectory[str] | None = None

    def save(self, data: Path | Mapping[str, Any]) -> None:
        """Copy a file, at once or not at all; an empty mapping is no file."""
        if not isinstance(data, Path):
            return
        place = self._save_place()
        if place.local_path is None:
            self._fs.put_file(str(data), place.path)
            return
        with replacing(place.local_path) as partial:
            shutil.copyfile(data, partial)

    def load(self) -> Path:
        """Return where the copy is; one from elsewhere is fetched for this run.

        Raises:
            MissingError: If there is none.
        """
        if not self._exists():
            msg = f"{self._filepath} does not exist. Run the pipeline that makes it."
            raise MissingError(msg)
        place = self._load_place()
        if place.local_path is not None:
            return place.local_path
        self._fetched = tempfile.TemporaryDirectory()
        path = Path(self._fetched.name) / place.name
        self._fs.get_file(place.path, str(path))
        return path


class ReportFolderDataset(FileDataset[Any]):
    """A folder of pictures, uint8 [h, w, 3], named *.png, and of texts."""

    def save(self, data: Mapping[str, str | Picture]) -> None:
        """Write the folder as a whole, beside its place first.

        Elsewhere than on this machine, where no folder can be renamed, texts are
        written once the pictures are there, and other files are then removed.
        """
        content = {
            name: item.encode() if isinstance(item, str) else encode_picture(item)
            for name, item in data.items()
        }
        place = self._save_place()
        folder = place.local_path
        if folder is None:
            for name in sorted(content, key=lambda name: isinstance(data[name], str)):
                (place / name).write(content[name])
            for left in place.list_files():
                if left.name not in content:
                    left.remove()
            self._fs.invalidate_cache()
            return
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        for unfinished in Path(self._filepath).glob(f"*/.{folder.name}.partial"):
            shutil.rmtree(unfinished.parent, ignore_errors=True)  # a killed run's
        partial.mkdir(parents=True)
        for name, written in content.items():
            (partial / name).write_bytes(written)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)

    def load(self) -> dict[str, str | Picture]:
        """Return the files by name."""
        folder = self._load_place()
        if not folder.exists():
            raise FileNotFoundError(errno.ENOENT, "there is no folder", str(folder))
        return {
            place.name: decode_picture(place.read())
            if place.name.endswith(".png")
            else place.read().decode()
            for place in folder.list_files()
        }


def pack_weights(data: Weights) -> bytes:
    """Return named tensors and named strings as safetensors with metadata."""
    tensors, strings = data
    dense = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    return safetensors.torch.save(dense, dict(strings))


def pack_arrays(arrays: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> bytes:
    """Return named arrays as a compressed `.npz`, of which nothing is pickled."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


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
