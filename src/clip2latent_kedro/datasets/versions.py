"""Versions of catalog entries, by the names that a user gives them."""

from typing import Any

from kedro.io import AbstractVersionedDataset

from clip2latent_kedro.errors import InputError

NUM_LISTED = 5


def list_versions(entry: str, dataset: Any) -> list[str]:
    """Return the versions of an entry that are there, oldest first.

    Args:
        entry: Its name.
        dataset: What the catalog has under it.

    Raises:
        InputError: If it is not versioned.
    """
    if not isinstance(dataset, AbstractVersionedDataset) or dataset._version is None:
        msg = f"entry must be versioned in the catalog, got {entry!r}."
        raise InputError(msg)
    return sorted(dataset.list_versions(full_path=False))


def describe_versions(version: str, known: list[str], problem: str) -> str:
    """Return the sentence that refuses a version and lists the last that there are."""
    listed = ", ".join(known[-NUM_LISTED:]) or "no version yet"
    return f"version must be one of {listed}, got {version!r}: {problem}."
