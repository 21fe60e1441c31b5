"""The ways in which a file comes here: Hugging Face's client, HTTP, and fsspec.

What HTTP has brought is kept in a partial file, beside it how the server names that
very content (its ETag, or time of change). The next attempt, of a later run too, asks
for the rest of the same content, and starts over where the server has another or knows
no ranges. The client of the Hub goes on with what breaks off by itself, within a run.
"""

import errno
import re
import shutil
import time
import urllib.request
from http.client import HTTPException
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from clip2latent_kedro.downloads.source import HUGGING_FACE, hub_endpoint
from clip2latent_kedro.progress import progress_bar

NUM_TRIES = 4  # attempts in a row that bring nothing before an address is given up
FIRST_DELAY = 1.0  # seconds after the first of them; doubled after each
TIMEOUT = 30.0  # seconds without an answer that end an attempt
_CHUNK, _MIB = 1 << 18, 1 << 20  # bytes
_HUB_FILE = re.compile(
    r"/(?:(?P<repo_type>dataset|space)s/)?(?P<repo_id>[^/]+/[^/]+)/resolve/"
    r"(?P<revision>[^/]+)/(?P<filename>[^?#]+)"
)
_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 206, 416
_TRANSIENT_CODES = (408, _RANGE_NOT_SATISFIABLE, 425, 429, 500, 502, 503, 504)


def beside(path: Path, suffix: str) -> Path:
    """Return the name of a hidden file that belongs to another."""
    return path.with_name(f".{path.name}.{suffix}")


def transfer(address: str, part: Path) -> None:
    """Move what is missing of a file to its partial file, which then is whole.

    Args:
        address: Address of the file.
        part: The partial file, there or not.

    Raises:
        Exception: Whatever the connection or a library raises, after as many attempts
            as may help.
    """
    if _find_on_hub(address):
        receive = _download_from_hub
    elif urlsplit(address).scheme in ("http", "https"):
        receive = _download_rest
    else:
        receive = _copy_by_fsspec
    failures = 0
    while True:
        before = _size(part)
        try:
            return receive(address, part)
        except Exception as error:  # each library has errors of its own
            if _status(error) == _RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
            failures = 1 if _size(part) > before else failures + 1
            if failures >= NUM_TRIES or not _is_transient(error):
                raise
            time.sleep(FIRST_DELAY * 2 ** (failures - 1))


def _status(error: Exception) -> Any:
    """Return the code with which a server refused; None for other failures."""
    response = getattr(error, "response", None)
    return getattr(error, "code", getattr(response, "status_code", None))


def _is_transient(error: Exception) -> bool:
    """Return whether another attempt may do better."""
    if _status(error) is not None:
        return _status(error) in _TRANSIENT_CODES
    cause = getattr(error, "reason", error)
    lost = isinstance(cause, ConnectionError | TimeoutError | HTTPException)
    return lost and not isinstance(cause, ConnectionRefusedError)


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _find_on_hub(address: str) -> dict[str, Any]:
    """Return what names a file of the Hub to its client; empty for other addresses."""
    for endpoint in (hub_endpoint(), HUGGING_FACE):
        if found := _HUB_FILE.match(address.removeprefix(endpoint)):
            parts = {k: v and unquote(v) for k, v in found.groupdict().items()}
            # The client would write a file of such a name outside of its folder.
            if {"..", ""}.isdisjoint(re.split(r"[\\/]", parts["filename"])):
                return {**parts, "endpoint": endpoint}
    return {}


def _download_from_hub(address: str, part: Path) -> None:
    """Let Hugging Face's client fetch a file, or copy it from its own cache."""
    import huggingface_hub

    # Fails at once where there is no network or no file; a download tries for long.
    huggingface_hub.get_hf_file_metadata(address, timeout=TIMEOUT)
    folder = beside(part, "folder")
    try:
        path = huggingface_hub.hf_hub_download(
            **_find_on_hub(address), local_dir=folder
        )
        Path(path).replace(part)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_by_fsspec(address: str, part: Path) -> None:
    """Copy a file from any file system that fsspec knows."""
    import fsspec

    file_system, path = fsspec.core.url_to_fs(address)
    name = {"desc": part.name, "unit": "B", "unit_scale": True}
    with fsspec.callbacks.TqdmCallback(tqdm_kwargs=name) as callback:
        file_system.get_file(path, str(part), callback=callback)


def _download_rest(address: str, part: Path) -> None:
    """Add to a partial file what it lacks, in one attempt."""
    mark = beside(part, "etag")
    content = mark.read_text() if mark.is_file() else ""  # of which a part is there
    start = _size(part) if content else 0
    # Compressed on the way, ranges and lengths would be those of other bytes.
    headers = {"User-Agent": "clip2latent_kedro", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": content}
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        answer = response.headers
        position = start if response.status == _PARTIAL_CONTENT else 0
        if not answer.get("Content-Range", "bytes 0-").startswith(f"bytes {position}-"):
            msg = "the server sent another part of the file than it was asked for"
            raise ConnectionError(msg)
        size = answer.get("Content-Length")
        total = None if size is None else position + int(size)
        _check_room(part.parent, 0 if total is None else total - position)
        etag = answer.get("ETag") or ""
        is_strong = etag and not etag.startswith("W/")  # W/ is of equal meaning alone
        mark.write_text(etag if is_strong else answer.get("Last-Modified") or "")
        name, whole = Path(urlsplit(address).path).name, ceil((total or 0) / _MIB)
        with (
            part.open("ab" if position else "wb") as sink,
            progress_bar(
                name, total=whole, completed=position // _MIB, unit="MiB"
            ) as advance,
        ):
            while chunk := response.read(_CHUNK):
                sink.write(chunk)
                before, position = position, position + len(chunk)
                advance(position // _MIB - before // _MIB)
    if total not in (None, position):
        msg = f"the connection ended after {position} of {total} bytes"
        raise ConnectionError(msg)


def _check_room(folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        msg = f"{num_bytes / _MIB:.0f} MiB are to come, {free / _MIB:.0f} MiB are free"
        raise OSError(errno.ENOSPC, msg)
