"""One writer at a time for what cannot be written by two: a store, a checkpoint.

The process that first saves holds the lock until it ends; entries of the same process
share it, and what workers write for it they write under it. Readers are never asked.
On this machine the system itself gives up the lock of a process that dies. Elsewhere
it is an object that names its holder and is written anew while the holder saves.
"""

import atexit
import contextlib
import json
import os
import socket
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from fsspec.implementations.local import LocalFileSystem

from clip2latent_kedro.datasets.places import Place
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.reading import parse_json

RENEW_SECONDS = 20.0  # a holder that saves says so at most this often
# A remote lock of this age is left: longer than between two saves of a long step.
LEFT_SECONDS = 900.0
_GRACE_SECONDS = 0.3  # in which two that take a remote lock at once see each other


@dataclass
class _Held:
    """A lock of this process."""

    place: Place
    since: float
    process: int
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    renewed: float = 0.0
    file_lock: FileLock | None = None


_held: dict[str, _Held] = {}


def hold(place: Place) -> None:
    """Have this process be the one that writes to a place, until it ends.

    Args:
        place: The store or the file; its lock is beside it, `.NAME.lock`.

    Raises:
        InputError: If another process writes there.
    """
    lock = _beside(place)
    key, now = str(lock), time.time()
    if lock.local_path is not None:
        key = str(lock.local_path.resolve())
    held = _held.get(key)
    if held is not None and held.process == os.getpid():
        if lock.local_path is None and now - held.renewed > RENEW_SECONDS:
            _renew(held, place)
        return
    held = _Held(lock, now, os.getpid())
    if lock.local_path is not None:
        _take_local(lock.local_path, held, place)
    else:
        _take_remote(held, place)
    _held[key] = held


def release_all() -> None:
    """Give up what this process holds, as it does when it ends."""
    for key, held in list(_held.items()):
        del _held[key]
        if held.process != os.getpid():
            continue  # inherited by a fork: the parent's
        if held.file_lock is not None:
            _named(Path(held.place.path)).remove()
            held.file_lock.release()
        else:
            with contextlib.suppress(Exception):  # it is left, and grows old
                if _read(held.place).get("token") == held.token:
                    held.place.remove()


atexit.register(release_all)


def _beside(place: Place) -> Place:
    folder, _, name = place.path.rstrip("/").rpartition("/")
    lock = f".{name}.lock"
    return Place(place.file_system, f"{folder}/{lock}" if folder else lock)


def _take_local(path: Path, held: _Held, place: Place) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file_lock = FileLock(path)
    try:
        file_lock.acquire(timeout=0)
    except Timeout:
        raise InputError(_refuse(place, _read(_named(path)))) from None
    held.file_lock = file_lock
    # The locked file itself must stay as it is, for systems that keep others out.
    _named(path).write(_describe(held))


def _named(path: Path) -> Place:
    """Return the file that says who holds a lock of this machine."""
    return Place(LocalFileSystem(), str(path.with_name(f"{path.name}.holder")))


def _take_remote(held: _Held, place: Place) -> None:
    there = _read(held.place)
    if there and not _is_left(there):
        raise InputError(_refuse(place, there))
    held.renewed = time.time()
    held.place.write(_describe(held))
    time.sleep(_GRACE_SECONDS)  # the last one that wrote it has it
    there = _read(held.place)
    if there.get("token") != held.token:
        raise InputError(_refuse(place, there))


def _renew(held: _Held, place: Place) -> None:
    there = _read(held.place)
    if there and there.get("token") != held.token:
        raise InputError(_refuse(place, there))
    held.renewed = time.time()
    held.place.write(_describe(held))


def _is_left(there: dict[str, Any]) -> bool:
    """Return whether the process that holds a remote lock is gone."""
    if time.time() - float(there.get("renewed", 0)) > LEFT_SECONDS:
        return True
    if there.get("host") != socket.gethostname():
        return False
    process = int(there.get("process", 0))
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return process == os.getpid()  # this process would know it by its token


def _describe(held: _Held) -> bytes:
    said = {
        "host": socket.gethostname(),
        "process": held.process,
        "since": held.since,
        "renewed": held.renewed,
        "token": held.token,
    }
    return json.dumps(said).encode()


def _read(place: Place) -> dict[str, Any]:
    """Return what a lock says of its holder; nothing without one, or a damaged one."""
    try:
        if not place.exists():
            return {}
        found = parse_json(place.read().decode())
        if not isinstance(found, dict):
            return {}
        numbers = {"process": int, "since": float, "renewed": float}
        return {**found, **{k: kind(found[k]) for k, kind in numbers.items()}}
    except (FileNotFoundError, KeyError, TypeError, ValueError, OverflowError):
        return {}


def _refuse(place: Place, there: dict[str, Any]) -> str:
    who = "another process"
    if there:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(there["since"]))
        who = f"process {there['process']} on {there.get('host')}, since {since}"
    left = ""
    if place.local_path is None:
        minutes = LEFT_SECONDS / 60
        left = f" A lost one's lock is free {minutes:.0f} minutes after its last save."
    return (
        f"{place} must have one writer at a time, and has {who}. Wait until "
        f"it ends, or set another data_root.{left}"
    )
