"""A group of processes of this machine, begun for a work and ended with it."""

import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from clip2latent_kedro.engines.config import EngineConfig
from clip2latent_kedro.engines.groups import Report, Seat, Work, connect
from clip2latent_kedro.engines.local import end_with_parent, pack_work
from clip2latent_kedro.engines.restarts import Restarts
from clip2latent_kedro.errors import InputError

REPORT_EVERY = 0.2  # seconds
GRACE = 5.0  # seconds in which the death of a process is seen that others suffer from


class SpawnedGroup:
    """Processes that share the cores, or have a GPU each (see `groups.Group`)."""

    def __init__(self, device: str, config: EngineConfig) -> None:
        """Keep what is asked for; processes begin with a work.

        Args:
            device: Of this process; on GPUs, process n takes the n-th of them.
            config: Of the step, with 2 workers or more.

        Raises:
            InputError: If there are fewer GPUs.
        """
        self.device = device.partition(":")[0]
        self.size = config.workers or 1
        self._threads = config.threads
        self._max_restarts = config.max_restarts
        num_gpus = torch.cuda.device_count()
        if self.device == "cuda" and num_gpus < self.size:
            msg = (
                f"workers of a training must be at most the {num_gpus} GPUs of this "
                f"machine, got {self.size}. Lower engines.training.workers."
            )
            raise InputError(msg)

    def run(
        self, lead: Work, follow: Work, start: Any, report: Report
    ) -> Iterator[Any]:
        """Yield the results of the first process (see `groups.Group.run`)."""
        works = [pack_work(lead), *[pack_work(follow)] * (self.size - 1)]
        last, restarts = start, Restarts(self._max_restarts)
        while True:
            with tempfile.TemporaryDirectory() as folder:
                members = self._begin(works, last, folder)
                try:
                    for result in _follow(members, report):
                        last = result
                        yield result
                    return
                except _DeathError as error:
                    restarts.count(0, error)
                finally:
                    for member in members:
                        member.end()

    def _begin(self, works: list[bytes], start: Any, folder: str) -> list["_Member"]:
        context = multiprocessing.get_context("spawn")
        threads = self._threads or max(1, torch.get_num_threads() // self.size)
        rendezvous = f"{Path(folder).as_uri()}/rendezvous"
        members = []
        for rank, work in enumerate(works):
            device = f"cuda:{rank}" if self.device == "cuda" else self.device
            ours, theirs = context.Pipe()
            seat = Seat(device, rank, self.size)
            begun_from = pickle.dumps(start if rank == 0 else None)
            process = context.Process(
                target=_sit,
                args=(seat, rendezvous, threads, work, begun_from, theirs),
                name=f"training-{rank}",
                daemon=True,
            )
            process.start()
            theirs.close()
            members.append(_Member(process, ours))
        return members


class _DeathError(Exception):
    """A process has ended before its work."""

    def __init__(self, members: "list[_Member]") -> None:
        ended = [member.process.exitcode for member in members]
        codes = ", ".join(f"{code}" for code in ended if code is not None)
        super().__init__(f"exit code {codes or 'unknown'}")


@dataclass(frozen=True)
class _Member:
    process: SpawnProcess
    messages: Connection

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.messages.close()


def _follow(members: list[_Member], report: Report) -> Iterator[Any]:
    """Yield results, and pass on reports, until all processes are done."""
    working = {member.messages: member for member in members}
    while working:
        ends = [member.process.sentinel for member in working.values()]
        ready = wait([*working, *ends])
        # What has been said comes before an end.
        heard = [connection for connection in working if connection in ready]
        for connection in heard:
            try:
                kind, content = pickle.loads(connection.recv_bytes())  # noqa: S301
            except (EOFError, OSError) as error:
                raise _DeathError(members) from error
            if kind == "result":
                yield content
            elif kind == "report":
                report(*content)
            elif kind == "done":
                del working[connection]
            else:
                if not isinstance(content, InputError) and _has_died(members):
                    raise _DeathError(members) from content
                raise content
        if not heard:
            raise _DeathError(members)


def _has_died(members: list[_Member]) -> bool:
    """Return whether a process is dead, of which another one's failure may come."""
    return bool(wait([member.process.sentinel for member in members], timeout=GRACE))


def _sit(
    seat: Seat,
    rendezvous: str,
    threads: int,
    work: bytes,
    start: bytes,
    messages: Connection,
) -> None:
    """Do the work of a seat, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that began it ends it
    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (of several bars none is read)
    torch.set_num_threads(threads)
    if sys.platform == "linux":  # no other interface is needed, nor the machine's name
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")

    def say(kind: str, content: Any) -> None:
        messages.send_bytes(pickle.dumps((kind, content)))

    last = 0.0

    def report(step: int, loss: float, row: Mapping[str, float] | None) -> None:
        nonlocal last
        now = time.monotonic()
        if seat.rank == 0 and (row is not None or now - last > REPORT_EVERY):
            last = now
            say("report", (step, loss, row))

    try:
        connect(seat, rendezvous)
        begun = pickle.loads(work)  # noqa: S301 (of the process that began it)
        for result in begun(seat, pickle.loads(start), report):  # noqa: S301
            if seat.rank == 0:
                say("result", result)
    except Exception as error:
        say("error", portable(error))
        # Who fails stays until it is ended: others would fail of its going.
        messages.recv_bytes()
    else:
        distributed.barrier()
        distributed.destroy_process_group()
        say("done", None)


def portable(error: Exception) -> Exception:
    """Return an error as it may travel by pickle, with its traceback as a note."""
    told = "".join(traceback.format_exception(error))
    try:
        copy: Exception = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
    except Exception:
        copy = RuntimeError(f"{type(error).__name__}: {error}")
    copy.add_note(told)
    return copy
