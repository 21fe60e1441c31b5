"""What a domain lacks, or has not made yet, loads as None.

There are two ways to say so in a catalog: `type: NothingDataset` where a domain has no
such thing, and `missing_ok: true` in an entry whose file may not be there yet.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from clip2latent_kedro.errors import MissingError


class ReadOnlyDataset(AbstractDataset[NoReturn, Any]):
    """Base of the entries that only load."""

    def save(self, data: NoReturn) -> NoReturn:
        """Raise: what it loads comes from elsewhere."""
        msg = f"{self} is read-only here, it cannot be saved."
        raise DatasetError(msg)


class NothingDataset(ReadOnlyDataset):
    """Loads None, in the place of what a domain does not have."""

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        """Stand for nothing.

        Args:
            metadata: For Kedro plugins.
        """
        self.metadata = metadata

    def load(self) -> None:
        """Return None."""

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {}


def none_if_missing(load: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a `load` that returns None where there is nothing and `missing_ok`.

    Args:
        load: Of a dataset with the attribute `_missing_ok`; raises `MissingError`
            where there is nothing.
    """

    @wraps(load)
    def load_or_none(self: Any) -> Any:
        try:
            return load(self)
        except MissingError:
            if self._missing_ok:
                return None
            raise

    return load_or_none
