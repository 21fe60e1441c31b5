"""A text file of prompts that a run may be given."""

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from clip2latent_kedro.errors import InputError


class PromptFileDataset(AbstractDataset[NoReturn, dict[str, str]]):
    """Loads `{"lines": content}` of a UTF-8 file, or an empty mapping without one."""

    def __init__(
        self, *, filepath: str | None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Point at a file.

        Args:
            filepath: Local path; None for no file.
            metadata: For Kedro plugins.
        """
        self._filepath = None if filepath is None else Path(filepath)
        self.metadata = metadata

    def load(self) -> dict[str, str]:
        """Return the content.

        Raises:
            InputError: If the file is not there, or is no text.
        """
        if self._filepath is None:
            return {}
        try:
            return {"lines": self._filepath.read_text(encoding="utf-8")}
        except (OSError, UnicodeDecodeError) as error:
            msg = (
                f"inference.prompts_file must be a text file in UTF-8, got "
                f"{self._filepath} ({error}). Correct its path."
            )
            raise InputError(msg) from error

    def save(self, data: NoReturn) -> NoReturn:
        """Raise: prompts are a user's own."""
        msg = "A file of prompts is read-only here."
        raise DatasetError(msg)

    def _exists(self) -> bool:
        return self._filepath is None or self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": None if self._filepath is None else str(self._filepath)}
