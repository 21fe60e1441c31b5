"""Files of others: where they are, under which licence, fetched once and checked."""

from clip2latent_kedro.downloads.fetching import (
    FetchedFile,
    fetch,
    fetch_file,
    find,
    offline_switch,
)
from clip2latent_kedro.downloads.source import (
    Licence,
    Source,
    is_address,
    read_source,
)

__all__ = [
    "FetchedFile",
    "Licence",
    "Source",
    "fetch",
    "fetch_file",
    "find",
    "is_address",
    "offline_switch",
    "read_source",
]
