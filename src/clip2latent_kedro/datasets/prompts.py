"""Text files of prompts, one a line."""

from typing import Any

import pandas as pd
from kedro_datasets._typing import TablePreview

from clip2latent_kedro import downloads
from clip2latent_kedro.datasets.optional import ReadOnlyDataset
from clip2latent_kedro.downloads import FetchedFile
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.reading import read_text

_MAX_LETTERS = 10_000  # of a prompt; an encoder reads a few hundred


class PromptFileDataset(ReadOnlyDataset):
    """Loads the text of a UTF-8 file, here or fetched from an address; or None."""

    def __init__(
        self,
        *,
        filepath: str | None,
        download: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a file.

        Args:
            filepath: Path or address; None for no file.
            download: How to fetch it (see `downloads.read_source`).
            metadata: For Kedro plugins.
        """
        self._source = (
            None if filepath is None else downloads.read_source(filepath, download)
        )
        self.metadata = metadata

    def load(self) -> Any:
        """Return the content; None without a file.

        Raises:
            InputError: If the file is not there, or is no text with lines that may be
                prompts.
        """
        if self._source is None:
            return None
        path = downloads.fetch(self._source)
        text = read_text(path, "a text file of prompts", mend="Correct its path.")
        longest = max(map(len, text.splitlines()), default=0)
        if longest > _MAX_LETTERS:
            msg = (
                f"{path} must be a text file with a prompt a line, of at most "
                f"{_MAX_LETTERS} letters, got {longest} in one. Correct its path."
            )
            raise InputError(msg)
        return text

    def fetch_files(self) -> dict[str, FetchedFile]:
        """Return `text`, the file, fetched if need be; nothing without a file."""
        return (
            {} if self._source is None else {"text": downloads.fetch_file(self._source)}
        )

    def _exists(self) -> bool:
        return self._source is None or downloads.find(self._source) is not None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": None if self._source is None else self._source.place}


class PromptTableDataset(PromptFileDataset):
    """Loads a file as a table with one column, `prompt`, as an evaluation reads it."""

    def __init__(
        self,
        *,
        filepath: str,
        prefix: str = "",
        download: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a file.

        Args:
            filepath: Path or address.
            prefix: Put before each line, such as `a photograph of `.
            download: How to fetch it (see `downloads.read_source`).
            metadata: For Kedro plugins.
        """
        super().__init__(filepath=filepath, download=download, metadata=metadata)
        self._prefix = prefix

    def load(self) -> pd.DataFrame:
        """Return one row for each line that is not empty.

        Raises:
            InputError: If the file is not there, is no text, or holds none.
        """
        lines = [line.strip() for line in super().load().splitlines()]
        prompts = [f"{self._prefix}{line}" for line in lines if line]
        if not prompts:
            place = self._describe()["filepath"]
            msg = f"A file of prompts must have a prompt a line, got {place} with none."
            raise InputError(msg)
        return pd.DataFrame({"prompt": prompts})

    def preview(self, nrows: int = 10) -> TablePreview:
        """Return the first prompts; none while they are not fetched."""
        prompts = list(self.load()["prompt"]) if self._exists() else []
        rows = [[prompt] for prompt in prompts[:nrows]]
        return TablePreview(
            {"index": list(range(len(rows))), "columns": ["prompt"], "data": rows}
        )

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "prefix": self._prefix}
