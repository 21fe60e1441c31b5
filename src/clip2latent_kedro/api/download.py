"""Files by their address, downloaded once."""

import hashlib
import os
import urllib.request
from contextlib import AbstractContextManager
from http.client import HTTPException
from math import ceil
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.progress import progress_bar

CHUNK = 1 << 20  # bytes
TIMEOUT = 30  # seconds without an answer
_BUILT_IN = ("http", "https", "file")


def cache_folder() -> Path:
    """Return where downloads are kept: `$XDG_CACHE_HOME`, or `~/.cache`, and ours."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "clip2latent_kedro"


def fetch(url: str, folder: Path) -> Path:
    """Return the local copy of a file, downloaded unless it is there.

    The copy appears under its name at once when it is whole, or not at all.

    Args:
        url: `http`, `https`, `file`, or what fsspec knows, such as `s3`.
        folder: Where copies are kept; made if need be.

    Raises:
        InputError: If the file cannot be had.
    """
    digest = hashlib.sha256(url.encode()).hexdigest()[:12]
    name = PurePosixPath(urlsplit(url).path).name
    target = folder / f"{digest}_{name}"
    if target.is_file():
        return target
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _open(url) as source, part.open("wb") as sink:
            _copy(source, sink, name)
        part.replace(target)
    except (OSError, HTTPException, ImportError, ValueError) as error:
        msg = (
            f"{url} could not be downloaded ({error}). Connect this machine, or fetch "
            f"the file on another one and give its path."
        )
        raise InputError(msg) from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _open(url: str) -> AbstractContextManager[IO[bytes]]:
    if urlsplit(url).scheme in _BUILT_IN:
        opened: AbstractContextManager[IO[bytes]]
        opened = urllib.request.urlopen(url, timeout=TIMEOUT)
        return opened
    import fsspec

    remote: AbstractContextManager[IO[bytes]] = fsspec.open(url, "rb")
    return remote


def _copy(source: Any, sink: IO[bytes], name: str) -> None:
    """Copy chunk by chunk, and see that nothing is missing."""
    headers = getattr(source, "headers", {})
    length = int(headers.get("Content-Length") or getattr(source, "size", None) or 0)
    total, copied = ceil(length / CHUNK), 0
    with progress_bar(name, total=total, unit="MiB") as advance:
        while chunk := source.read(CHUNK):
            copied += sink.write(chunk)
            advance()
    if copied < length:
        msg = f"the connection ended after {copied} of {length} bytes"
        raise OSError(msg)
