"""Files of others: where they are, under which licence, fetched once and checked."""

from clip2latent_kedro.downloads.cache import (
    cache_folder,
    hash_file,
    offline_switch,
)
from clip2latent_kedro.downloads.fetching import FetchedFile, fetch, fetch_file, find
from clip2latent_kedro.downloads.source import (
    DownloadConfig,
    Licence,
    Source,
    is_address,
    read_download,
)

__all__ = [
    "DownloadConfig",
    "FetchedFile",
    "Licence",
    "Source",
    "cache_folder",
    "fetch",
    "fetch_file",
    "find",
    "hash_file",
    "is_address",
    "offline_switch",
    "read_download",
]
