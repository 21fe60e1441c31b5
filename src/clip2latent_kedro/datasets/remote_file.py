"""The file of a catalog entry, which may be elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clip2latent_kedro.downloads import (
    FetchedFile,
    fetch,
    fetch_file,
    find,
    read_download,
)


class RemoteFile:
    """A local path, or an address whose file is fetched when it is first needed."""

    def __init__(
        self,
        filepath: str,
        download: Mapping[str, Any] | None = None,
        *,
        alternatives: Sequence[str] = (),
    ) -> None:
        """Point at a file.

        Args:
            filepath: Its path or address.
            download: The fields of `downloads.DownloadConfig`.
            alternatives: Addresses of files that do as well.

        Raises:
            InputError: If a setting is wrong.
        """
        config = read_download(download)
        self.source = config.source(filepath, alternatives)
        self._folder = config.folder
        self._offline = config.offline

    def fetch(self) -> Path:
        """Return where the file is, fetched if need be (see `downloads.fetch`)."""
        return fetch(self.source, self._folder, offline=self._offline)

    def fetch_file(self) -> FetchedFile:
        """Return the file with its hash, fetched if need be."""
        return fetch_file(self.source, self._folder, offline=self._offline)

    def exists(self) -> bool:
        """Return whether the file is here."""
        return find(self.source, self._folder) is not None
