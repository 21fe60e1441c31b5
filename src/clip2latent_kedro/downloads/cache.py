"""Where fetched files are kept, and what is remembered of them.

A file is named by its address. Beside it lies a record of its size, time and SHA-256,
so that it need not be hashed each time; a file that someone put there by hand, or
changed, is hashed again.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

_OFFLINE_NAMES = ("CLIP2LATENT_OFFLINE", "HF_HUB_OFFLINE")
_TRUE = ("1", "true", "yes", "on")


def cache_folder() -> Path:
    """Return where downloads are kept: `$XDG_CACHE_HOME`, or `~/.cache`, and ours."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "clip2latent_kedro"


def offline_switch() -> str | None:
    """Return the environment variable that forbids downloads; None if none does."""
    for name in _OFFLINE_NAMES:
        if os.environ.get(name, "").lower() in _TRUE:
            return f"{name}={os.environ[name]}"
    return None


def cached_path(address: str, folder: Path) -> Path:
    """Return where the file of an address is kept, now or later."""
    digest = hashlib.sha256(address.encode()).hexdigest()[:12]
    name = PurePosixPath(unquote(urlsplit(address).path)).name or "file"
    return folder / f"{digest}_{name}"


def beside(path: Path, suffix: str) -> Path:
    """Return the name of a hidden file that belongs to another."""
    return path.with_name(f".{path.name}.{suffix}")


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remember(path: Path, digest: str) -> None:
    """Write the record of a file, where that is possible."""
    state = path.stat()
    record = {"sha256": digest, "num_bytes": state.st_size, "time": state.st_mtime_ns}
    with contextlib.suppress(OSError):  # a cache that is shared may be read-only
        beside(path, "json").write_text(json.dumps(record), encoding="utf-8")


def known_digest(path: Path) -> str:
    """Return the SHA-256 (hex) of a file in the cache, by its record if it is true."""
    state = path.stat()
    try:
        record = json.loads(beside(path, "json").read_text(encoding="utf-8"))
        if (record["num_bytes"], record["time"]) == (state.st_size, state.st_mtime_ns):
            return str(record["sha256"])
    except (OSError, ValueError, LookupError, TypeError):
        pass
    digest = hash_file(path)
    remember(path, digest)
    return digest
