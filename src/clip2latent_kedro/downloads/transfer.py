"""One attempt to move the rest of a file here.

What has come is kept in a partial file, beside it how the server names that very
content (its ETag, or time of change). The next attempt asks for the rest of the same
content, and starts over where the server has another or knows no ranges.
"""

import contextlib
import errno
import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from clip2latent_kedro.downloads.cache import beside
from clip2latent_kedro.progress import progress_bar

CHUNK = 1 << 18  # bytes
MIB = 1 << 20  # bytes
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206


class DiskFullError(Exception):
    """There is no room for the rest of the file; the message says how much it needs."""


@dataclass(frozen=True)
class Answer:
    """What a server gives.

    Attributes:
        stream: Of bytes.
        start: Position of its first byte in the file.
        total: Bytes of the whole file; None if they are not told.
        validator: Names this very content; None if there is no such name.
    """

    stream: Any
    start: int
    total: int | None
    validator: str | None


def transfer(address: str, part: Path, *, timeout: float) -> None:
    """Move what is missing of a file to its partial file, which then is whole.

    Args:
        address: Of the file.
        part: The partial file, there or not.
        timeout: Seconds without an answer.

    Raises:
        OSError: Or whatever else the connection may raise; what came is kept.
        DiskFullError: If there is no room for it.
    """
    start, validator = _read_state(part, address)
    try:
        with _open(address, start, validator, timeout) as answer:
            _receive(answer, address, part)
    except urllib.error.HTTPError as error:
        if error.code != _RANGE_NOT_SATISFIABLE or start == 0:
            raise
        discard(part)
        msg = "the server has no such rest of the file"
        raise ConnectionError(msg) from error


def received(part: Path) -> int:
    """Return how many bytes of a file are here."""
    return part.stat().st_size if part.is_file() else 0


def discard(part: Path) -> None:
    """Remove a partial file."""
    part.unlink(missing_ok=True)
    beside(part, "json").unlink(missing_ok=True)


def _read_state(part: Path, address: str) -> tuple[int, str | None]:
    """Return how much is there and of which content; nothing if that is unknown."""
    try:
        state = json.loads(beside(part, "json").read_text(encoding="utf-8"))
        if state["address"] == address and state["validator"]:
            return received(part), str(state["validator"])
    except (OSError, ValueError, LookupError, TypeError):
        pass
    return 0, None


def _receive(answer: Answer, address: str, part: Path) -> None:
    """Write a stream to the end of what is there; see that nothing is missing."""
    total, position = answer.total, answer.start
    _check_room(part, None if total is None else total - position)
    state = {"address": address, "validator": answer.validator}
    name = Path(urlsplit(address).path).name
    try:
        beside(part, "json").write_text(json.dumps(state), encoding="utf-8")
        with (
            part.open("r+b" if position else "wb") as sink,
            progress_bar(
                name,
                total=ceil((total or 0) / MIB),
                completed=position // MIB,
                unit="MiB",
            ) as advance,
        ):
            sink.truncate(position)
            sink.seek(position)
            while chunk := answer.stream.read(CHUNK):
                _write(sink, chunk)
                before, position = position, position + len(chunk)
                advance(position // MIB - before // MIB)
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFullError(_room_message(part, total, position)) from error
        raise
    if total is not None and position != total:
        msg = f"the connection ended after {position} of {total} bytes"
        raise ConnectionError(msg)


def _write(sink: IO[bytes], chunk: bytes) -> None:
    sink.write(chunk)
    sink.flush()  # so that what is told of a full disk is told here


def _check_room(part: Path, num_bytes: int | None) -> None:
    if num_bytes is not None and num_bytes > shutil.disk_usage(part.parent).free:
        total = num_bytes + received(part)
        raise DiskFullError(_room_message(part, total, received(part)))


def _room_message(part: Path, total: int | None, position: int) -> str:
    free = shutil.disk_usage(part.parent).free
    whole = "" if total is None else f" of {total / MIB:.0f} MiB"
    return (
        f"{part.parent} has no room for it ({position / MIB:.0f} MiB{whole} are there, "
        f"{free / MIB:.0f} MiB are free)"
    )


@contextlib.contextmanager
def _open(
    address: str, start: int, validator: str | None, timeout: float
) -> Iterator[Answer]:
    if urlsplit(address).scheme in ("http", "https"):
        with _open_http(address, start, validator, timeout) as answer:
            yield answer
    else:
        with _open_fsspec(address, start, validator) as answer:
            yield answer


@contextlib.contextmanager
def _open_http(
    address: str, start: int, validator: str | None, timeout: float
) -> Iterator[Answer]:
    # Compressed on the way, ranges and lengths would be those of other bytes.
    headers = {"User-Agent": "clip2latent_kedro", "Accept-Encoding": "identity"}
    if start and validator:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator}
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(request, timeout=timeout) as response:
        validator = _strong_etag(response) or response.headers.get("Last-Modified")
        if response.status == _PARTIAL_CONTENT:
            found = _RANGE.match(response.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != start:
                msg = "the server sent another part of the file than it was asked for"
                raise ConnectionError(msg)
            total = None if found[2] == "*" else int(found[2])
            yield Answer(response, start, total, validator)
        else:
            length = response.headers.get("Content-Length")
            total = None if length is None else int(length)
            yield Answer(response, 0, total, validator)


def _strong_etag(response: Any) -> str | None:
    """Return the ETag if it stands for equal bytes, and not for equal meaning."""
    etag = response.headers.get("ETag")
    return None if etag is None or etag.startswith("W/") else str(etag)


@contextlib.contextmanager
def _open_fsspec(address: str, start: int, validator: str | None) -> Iterator[Answer]:
    import fsspec

    try:
        file_system, path = fsspec.core.url_to_fs(address)
        current = str(file_system.ukey(path))
        size = file_system.info(path).get("size")
        opened = file_system.open(path, "rb")
    except (OSError, ImportError, ValueError):
        raise
    except Exception as error:  # each file system has errors of its own
        msg = f"{type(error).__name__}: {error}"
        raise OSError(msg) from error
    with opened as stream:
        begin = start if current == validator else 0
        stream.seek(begin)
        yield Answer(stream, begin, size, current)
