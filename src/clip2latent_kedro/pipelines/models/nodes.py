"""Nodes of `models`."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from clip2latent_kedro.downloads import FetchedFile
from clip2latent_kedro.errors import InputError

logger = logging.getLogger(__name__)

COLUMNS = [
    *("entry", "part", "address", "path", "sha256", "num_bytes"),
    *("licence", "licence_address"),
]
Files = dict[str, Mapping[str, FetchedFile]]


class Fetchable(Protocol):
    """A catalog entry with files of its own."""

    def fetch_files(self) -> Mapping[str, FetchedFile]:
        """Return its files by their part in it, fetched if need be."""
        ...


def fetch_entries(entries: Mapping[str, Fetchable]) -> Files:
    """Return the files of each entry, fetched and converted where they were not.

    Args:
        entries: Catalog entries by name.

    Raises:
        InputError: If files cannot be had, or are not those that were expected; with
            one sentence for each, after all others are here.
    """
    files: Files = {}
    problems = []
    for name, entry in entries.items():
        try:
            files[name] = entry.fetch_files()
        except InputError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise InputError("\n".join(problems))
    addresses = {
        file.address for parts in files.values() for file in parts.values()
    } - {None}
    if not addresses:
        logger.info("Nothing to fetch: this environment has all its files here.")
    else:
        logger.info("Files from %d addresses are here.", len(addresses))
    return files


def list_files(files: Files) -> pd.DataFrame:
    """Return one row for each file: entry, where from, where it is, hash, licence."""
    rows = []
    for entry, parts in files.items():
        for part, file in parts.items():
            licence = file.licence and file.licence.name
            address = file.licence and file.licence.address
            facts = (file.address, str(file.path), file.sha256, file.num_bytes)
            rows.append((entry, part, *facts, licence, address))
    return pd.DataFrame(rows, columns=COLUMNS)


def export_generator(files: Files) -> Path | dict[str, Any]:
    """Return the generator's weights as safetensors; an empty mapping if it has none.

    Args:
        files: Of each entry; of `generator`, the converted file if there is one.
    """
    parts = files.get("generator", {})
    file = parts.get("converted") or parts.get("weights")
    if file is None or file.path.suffix != ".safetensors":
        logger.info("The generator is not of a kind that is converted.")
        return {}
    return file.path
