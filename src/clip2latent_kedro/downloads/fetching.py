"""Files by their address, fetched once, into a cache where each is named by it."""

import errno
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from clip2latent_kedro.downloads.packages import (
    how_to_install,
    is_in_package,
    package_folder,
    package_of,
    tell_licence,
)
from clip2latent_kedro.downloads.source import Licence, Source
from clip2latent_kedro.downloads.transfer import beside, transfer
from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.files import hash_file

logger = logging.getLogger(__name__)

_OFFLINE_NAMES = ("CLIP2LATENT_OFFLINE", "HF_HUB_OFFLINE")
_TRUE = ("1", "true", "yes", "on")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class FetchedFile:
    """A file that is here.

    Attributes:
        source: What it was asked for as.
        address: Where it came from, an installed package included; None for a path.
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
        """The licence of the file; None where it is not known."""
        return self.source.licence


def fetch(source: Source | str) -> Path:
    """Return where a file is, fetched unless it is there.

    The file appears under its name at once when it is whole and as expected, or not at
    all. Two processes that want the same file fetch it once.

    Args:
        source: What to fetch; a text is its address, or a path that is used as it is.

    Raises:
        MissingError: If there is nothing at a local path.
        InputError: If the file cannot be had, or is not the one that was expected.
    """
    source = _as_source(source)
    if source.local_path is not None:
        found = _check_local(source, source.local_path)
        if is_in_package(source.place):
            tell_licence(source.place, _terms(source))
        return found
    if (path := find(source)) is not None:
        return path
    switch = "offline: true" if source.offline else offline_switch()
    what_to_do = (
        f"Fetch it on a connected machine and put it at {source.cached_path()}, or "
        f"give a local path in place of the address."
    )
    if switch is not None:
        kept = source.cached_path()
        problem = f"is here, but {_problem(source, kept)}," if kept.is_file() else ""
        msg = (
            f"{source.place} {problem or 'is not on this machine'} and may not be "
            f"fetched ({switch}). {what_to_do}"
        )
        raise InputError(msg)
    reasons = []
    for address in source.addresses:
        try:
            return _fetch_from(source, address)
        except Exception as error:  # each library has errors of its own
            reason = (str(error) or type(error).__name__).splitlines()[0]
            if isinstance(error, OSError) and error.errno in _FULL:
                folder = source.cached_path().parent
                msg = (
                    f"{address} cannot be fetched: {folder} has no room for it "
                    f"({reason}). Make room and run again, or set another cache_folder."
                )
                raise InputError(msg) from error
            reasons.append(f"{address} could not be downloaded ({reason})")
            logger.warning("%s.", reasons[-1])
    raise InputError(f"{', nor: '.join(reasons)}. {what_to_do}")


def fetch_file(source: Source | str) -> FetchedFile:
    """Return a file with its hash, fetched unless it is there (see `fetch`)."""
    source = _as_source(source)
    path = fetch(source)
    found = [a for a in source.addresses if source.cached_path(a) == path]
    in_package = source.place if is_in_package(source.place) else None
    address = found[0] if found else in_package
    return FetchedFile(source, address, path, hash_file(path), path.stat().st_size)


def find(source: Source | str) -> Path | None:
    """Return where a file is without fetching it; None if it is not there."""
    source = _as_source(source)
    if source.local_path is not None:
        return source.local_path if source.local_path.exists() else None
    paths = map(source.cached_path, source.addresses)
    return next((path for path in paths if _is_good(source, path)), None)


def offline_switch() -> str | None:
    """Return the environment variable that forbids downloads; None if none does."""
    for name in _OFFLINE_NAMES:
        if os.environ.get(name, "").lower() in _TRUE:
            return f"{name}={os.environ[name]}"
    return None


def _as_source(source: Source | str) -> Source:
    return Source(source) if isinstance(source, str) else source


def _fetch_from(source: Source, address: str) -> Path:
    """Return the file from one address, while no other process fetches it."""
    from filelock import FileLock

    target = source.cached_path(address)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(beside(target, "lock")):
        if _is_good(source, target):
            return target
        terms = _terms(source)
        logger.info("Fetching %s to %s. Its licence: %s.", address, target, terms)
        part = beside(target, "part")
        transfer(address, part)
        if problem := _problem(source, part):
            part.unlink()
            beside(part, "etag").unlink(missing_ok=True)
            msg = f"it {problem}"
            raise ValueError(msg)
        part.replace(target)
        beside(part, "etag").unlink(missing_ok=True)
        return target


def _terms(source: Source) -> str:
    licence = source.licence
    return f"{licence.name}, {licence.address}" if licence else "not stated"


def _is_good(source: Source, path: Path) -> bool:
    """Return whether a file is in the cache, and has the hash that is expected."""
    return path.is_file() and source.sha256 in (None, hash_file(path))


def _check_local(source: Source, path: Path) -> Path:
    if is_in_package(source.place) and package_folder(package_of(source.place)) is None:
        msg = (
            f"{source.place} is expected in an installed package, but there is no "
            f"{package_of(source.place)}. {how_to_install(package_of(source.place))}"
        )
        raise MissingError(msg)
    mend = "Give another file, or correct sha256."
    if is_in_package(source.place):  # which may be installed in another version
        mend = how_to_install(package_of(source.place))
    if not path.exists():
        msg = f"{source.place} is expected to be a file, but there is nothing there."
        raise MissingError(f"{msg} {mend}" if is_in_package(source.place) else msg)
    if not (path.is_file() or path.is_dir()):
        msg = f"{source.place} is expected to be a file, but is a pipe or a device."
        raise InputError(msg)
    if source.sha256 is not None and (problem := _problem(source, path)):
        msg = f"{source.place} {problem}. {mend}"
        raise InputError(msg)
    return path


def _problem(source: Source, path: Path) -> str | None:
    """Return how a file differs from what is expected; None if it does not."""
    if path.is_dir():
        return "should be a file, as it has a SHA-256, and is a folder"
    num_bytes = path.stat().st_size
    if source.num_bytes not in (None, num_bytes):
        return f"should have {source.num_bytes} bytes, not {num_bytes}"
    if source.sha256 not in (None, digest := hash_file(path)):
        return f"should have the SHA-256 {source.sha256}, not {digest}"
    return None
