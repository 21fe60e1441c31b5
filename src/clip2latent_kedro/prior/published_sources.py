"""Published checkpoints by path or address, their YAML found beside them."""

import logging
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from clip2latent_kedro.downloads import fetch, is_address
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.prior.published import Buffers, check_buffers, read_published

logger = logging.getLogger(__name__)


def open_published(
    place: str,
    config: str | None = None,
    *,
    buffers: Buffers = "as_stored",
    get: Callable[[str], Path] = fetch,
) -> Checkpoint:
    """Return a published checkpoint, fetched if it is elsewhere.

    Args:
        place: Path or address of the `.ckpt`.
        config: Path or address of its YAML; None for the one beside it, under the
            same name, where there is one.
        buffers: See `read_published`.
        get: From a path or an address to a file that is here.

    Raises:
        InputError: If a file cannot be had or read (see `read_published`).
    """
    check_buffers(buffers)
    path = get(place)
    beside = get(config) if config is not None else _find_beside(place, get)
    return read_published(path, config=beside, buffers=buffers)


def _find_beside(place: str, get: Callable[[str], Path]) -> Path | None:
    """Return the YAML beside an address; None if there is none, and for a path."""
    if not is_address(place):
        return None  # `read_published` looks there itself
    parts = urlsplit(place)
    path = PurePosixPath(parts.path).with_suffix(".yaml")
    address = urlunsplit(parts._replace(path=str(path)))
    try:
        return get(address)
    except InputError as error:
        logger.info("The checkpoint comes without a YAML: %s", error)
        return None
