"""Files by their address, fetched once."""

import logging
import socket
import ssl
import time
import urllib.error
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from clip2latent_kedro.downloads.cache import (
    beside,
    cache_folder,
    cached_path,
    hash_file,
    known_digest,
    offline_switch,
    remember,
)
from clip2latent_kedro.downloads.source import Licence, Source, is_address
from clip2latent_kedro.downloads.transfer import (
    DiskFullError,
    discard,
    received,
    transfer,
)
from clip2latent_kedro.errors import InputError

logger = logging.getLogger(__name__)

_TRANSIENT_CODES = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_DELAY = 60.0  # seconds
_FAILURES = (OSError, HTTPException, ImportError, ValueError)


@dataclass(frozen=True)
class Patience:
    """How hard to try.

    Attributes:
        num_tries: Attempts in a row that bring nothing before an address is given up.
        first_delay: Seconds after the first of them; doubled after each.
        timeout: Seconds without an answer that end an attempt.
    """

    num_tries: int = 4
    first_delay: float = 1.0
    timeout: float = 30.0


@dataclass(frozen=True)
class FetchedFile:
    """A file that is here.

    Attributes:
        source: What it was asked for as.
        address: Where it came from; None for a local file.
        path: Where it is.
        sha256: Of its content, hex.
        num_bytes: Its size.
    """

    source: Source
    address: str | None
    path: Path
    sha256: str
    num_bytes: int

    @property
    def licence(self) -> Licence | None:
        """Of the file, where it is known."""
        return self.source.licence


def fetch(
    source: Source | str,
    folder: Path | None = None,
    *,
    offline: bool = False,
    patience: Patience | None = None,
) -> Path:
    """Return where a file is, fetched unless it is there.

    The file appears under its name at once when it is whole and as expected, or not at
    all. An interrupted transfer goes on where it ended, in a later run too. Two
    processes that want the same file fetch it once.

    Args:
        source: What to fetch; a text is its address, or a path that is used as it is.
        folder: Where fetched files are kept, made if need be; the user's cache if None.
        offline: Whether nothing may be fetched. So do the environment variables
            CLIP2LATENT_OFFLINE and HF_HUB_OFFLINE.
        patience: How hard to try.

    Raises:
        InputError: If the file cannot be had, or is not the one that was expected.
    """
    source = Source(source) if isinstance(source, str) else source
    folder = (folder or cache_folder()).expanduser()
    local = _local_path(source.place)
    if local is not None:
        return _check_local(source, local)
    path = find(source, folder)
    if path is not None:
        return path
    switch = "offline: true" if offline else offline_switch()
    if switch is not None:
        kept = cached_path(source.place, folder)
        state = "is not on this machine"
        if kept.is_file():
            state = f"is here, but {_problem(source, kept)},"
        msg = (
            f"{source.place} {state} and may not be fetched ({switch}). "
            f"{_what_to_do(source, folder)}"
        )
        raise InputError(msg)
    return _fetch_any(source, folder, patience or Patience())


def fetch_file(
    source: Source | str, folder: Path | None = None, *, offline: bool = False
) -> FetchedFile:
    """Return a file with its hash, fetched unless it is there (see `fetch`)."""
    source = Source(source) if isinstance(source, str) else source
    folder = (folder or cache_folder()).expanduser()
    path = fetch(source, folder, offline=offline)
    is_local = _local_path(source.place) is not None
    found = [a for a in source.addresses if cached_path(a, folder) == path]
    return FetchedFile(
        source=source,
        address=None if is_local else found[0],
        path=path,
        sha256=hash_file(path) if is_local else known_digest(path),
        num_bytes=path.stat().st_size,
    )


def find(source: Source | str, folder: Path | None = None) -> Path | None:
    """Return where a file is without fetching it; None if it is not there."""
    source = Source(source) if isinstance(source, str) else source
    folder = (folder or cache_folder()).expanduser()
    local = _local_path(source.place)
    if local is not None:
        return local if local.exists() else None
    for address in source.addresses:
        path = cached_path(address, folder)
        if _is_good(source, path):
            return path
    return None


def _local_path(place: str) -> Path | None:
    """Return the path that a place is; None for an address elsewhere."""
    if not is_address(place):
        return Path(place).expanduser()
    parts = urlsplit(place)
    return Path(url2pathname(unquote(parts.path))) if parts.scheme == "file" else None


def _is_good(source: Source, path: Path) -> bool:
    """Return whether a file is in the cache, and the one that is expected."""
    if not path.is_file():
        return False
    return source.sha256 is None or known_digest(path) == source.sha256


def _check_local(source: Source, path: Path) -> Path:
    if not path.exists():
        msg = f"{source.place} is expected to be a file, but there is nothing there."
        raise InputError(msg)
    if not (path.is_file() or path.is_dir()):
        msg = f"{source.place} is expected to be a file, but is a pipe or a device."
        raise InputError(msg)
    problem = None if source.sha256 is None else _problem(source, path)
    if problem:
        msg = f"{source.place} {problem}. Give another file, or correct sha256."
        raise InputError(msg)
    return path


def _fetch_any(source: Source, folder: Path, patience: Patience) -> Path:
    """Return the file from the first of its addresses that has it."""
    reasons = []
    for address in source.addresses:
        target = cached_path(address, folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return _fetch_locked(source, address, target, patience)
        except DiskFullError as error:
            msg = (
                f"{address} cannot be fetched: {error}. Make room and run again, which "
                f"goes on from there, or set another cache_folder."
            )
            raise InputError(msg) from error
        except _FAILURES as error:
            reasons.append((address, _reason(error)))
            logger.warning("%s cannot be had: %s.", address, reasons[-1][1])
    (first, reason), *others = reasons
    also = "".join(f", nor {address} ({why})" for address, why in others)
    msg = (
        f"{first} could not be downloaded ({reason}){also}. "
        f"{_what_to_do(source, folder)}"
    )
    raise InputError(msg)


def _fetch_locked(
    source: Source, address: str, target: Path, patience: Patience
) -> Path:
    """Return the file from one address, while no other process fetches it."""
    from filelock import FileLock, Timeout

    lock = FileLock(beside(target, "lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("Another process is fetching %s: waiting for it.", address)
        lock.acquire()
    try:
        if _is_good(source, target):
            return target
        _announce(source, address, target)
        part = beside(target, "part")
        _transfer_patiently(address, part, patience)
        problem = _problem(source, part)
        if problem:
            discard(part)
            msg = f"it {problem}"
            raise ValueError(msg)
        digest = source.sha256 or hash_file(part)
        part.replace(target)
        discard(part)
        remember(target, digest)
        return target
    finally:
        lock.release()


def _announce(source: Source, address: str, target: Path) -> None:
    """Say what is fetched and on which terms, before anything is."""
    licence = source.licence
    terms = "not stated" if licence is None else f"{licence.name}, {licence.address}"
    logger.info("Fetching %s to %s. Its licence: %s.", address, target, terms)


def _transfer_patiently(address: str, part: Path, patience: Patience) -> None:
    """Move the whole file here, in as many attempts as it needs."""
    failures = 0
    while True:
        before = received(part)
        try:
            transfer(address, part, timeout=patience.timeout)
        except (OSError, HTTPException) as error:
            if not _is_transient(error):
                raise
            failures = 1 if received(part) > before else failures + 1
            if failures >= patience.num_tries:
                raise
            delay = _delay(error, patience.first_delay * 2 ** (failures - 1))
            logger.warning(
                "%s: %s. Trying again in %.0f s.", address, _reason(error), delay
            )
            time.sleep(delay)
        else:
            return


def _is_transient(error: Exception) -> bool:
    """Return whether another attempt may do better."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _TRANSIENT_CODES
    if isinstance(error, urllib.error.URLError):
        reason = error.reason
        hopeless = (socket.gaierror, ConnectionRefusedError, ssl.SSLError)
        return isinstance(reason, OSError) and not isinstance(reason, hopeless)
    return isinstance(error, (ConnectionError, TimeoutError, HTTPException))


def _delay(error: Exception, usual: float) -> float:
    """Return how long to wait: what the server asks for, if it does."""
    asked = ""
    if isinstance(error, urllib.error.HTTPError):
        asked = error.headers.get("Retry-After") or ""
    return min(float(asked) if asked.isdigit() else usual, _LONGEST_DELAY)


def _problem(source: Source, path: Path) -> str | None:
    """Return how a file differs from what is expected; None if it does not."""
    num_bytes = path.stat().st_size
    if source.num_bytes not in (None, num_bytes):
        return f"should have {source.num_bytes} bytes, not {num_bytes}"
    if source.sha256 is None:
        return None
    digest = hash_file(path)
    if digest != source.sha256:
        return f"should have the SHA-256 {source.sha256}, not {digest}"
    return None


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _what_to_do(source: Source, folder: Path) -> str:
    target = cached_path(source.place, folder)
    return (
        f"Fetch it on a connected machine and put it at {target}, or give a local path "
        f"in place of the address."
    )
