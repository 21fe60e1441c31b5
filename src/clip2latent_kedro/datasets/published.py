"""A prior in the original project's format, as a catalog entry."""

import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractDataset

from clip2latent_kedro import downloads
from clip2latent_kedro.datasets.places import open_place
from clip2latent_kedro.downloads import FetchedFile, Source
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.prior.published import Buffers, open_published, write_published

_READ_ONLY = ("http://", "https://", "package://", "hf://")
_OF_ONE_FILE = ("sha256", "num_bytes")


class PublishedDataset(AbstractDataset[Checkpoint | Mapping[str, Any], Checkpoint]):
    """A `.ckpt` of clip2latent's trainer and its YAML, here or elsewhere."""

    def __init__(
        self,
        *,
        filepath: str | None,
        config: str | None = None,
        buffers: Buffers = "as_stored",
        download: dict[str, Any] | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at the files.

        Args:
            filepath: Path or address of the `.ckpt`; None where there is none.
            config: Path or address of the YAML; None for that of the same name.
            buffers: `as_stored` or `exact` (see `read_published`).
            download: How to fetch the `.ckpt` (see `downloads.read_source`), and
                but for its hash and size the YAML.
            credentials: For the file system that it is saved to.
            fs_args: The same.
            metadata: For Kedro plugins.
        """
        self._filepath = filepath
        self._config = config
        self._buffers: Buffers = buffers
        self._download = dict(download or {})
        self._options = {**(fs_args or {}), **(credentials or {})}
        self.metadata = metadata

    def load(self) -> Checkpoint:
        """Return the checkpoint; see `read_published`.

        Raises:
            InputError: If there is none, or it cannot be had or read.
        """
        return open_published(
            self._place(), self._config, buffers=self._buffers, get=self._get
        )

    def save(self, data: Checkpoint | Mapping[str, Any]) -> None:
        """Write the `.ckpt`, and its YAML beside it; an empty mapping writes nothing.

        Raises:
            InputError: If the format cannot hold it, or the place is of the web.
        """
        place = self._place()
        if place.startswith(_READ_ONLY):
            msg = (
                f"A checkpoint is written to a path or an object store, got {place}. "
                f"Correct it in the catalog."
            )
            raise InputError(msg)
        if not isinstance(data, Checkpoint):
            return
        if not downloads.is_address(place):
            write_published(data, place)
            return
        target = PurePosixPath(place)
        with tempfile.TemporaryDirectory() as folder:
            write_published(data, str(Path(folder) / target.name))
            open_place(place.rpartition("/")[0], self._options).upload(Path(folder))

    def fetch_files(self) -> dict[str, FetchedFile]:
        """Return the files, fetched if need be; none where there is no checkpoint."""
        places = {"checkpoint": self._filepath, "config": self._config}
        return {
            name: downloads.fetch_file(self._source(place))
            for name, place in places.items()
            if place is not None
        }

    def _place(self) -> str:
        if self._filepath is None:
            msg = (
                "This environment names no published checkpoint. Set "
                "published_checkpoint in its globals.yml to a path or an address, or "
                "use one that does, such as --env=ffhq."
            )
            raise InputError(msg)
        return self._filepath

    def _get(self, place: str) -> Path:
        return downloads.fetch(self._source(place))

    def _source(self, place: str) -> Source:
        download = self._download
        if place != self._filepath:
            download = {k: v for k, v in download.items() if k not in _OF_ONE_FILE}
        return downloads.read_source(place, download)

    def _exists(self) -> bool:
        place = self._filepath
        return place is not None and downloads.find(self._source(place)) is not None

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": self._filepath,
            "config": self._config,
            "buffers": self._buffers,
        }
