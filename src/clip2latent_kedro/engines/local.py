"""The engine of one machine: this process, or processes that end with it."""

import contextlib
import multiprocessing
import os
import pickle
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeVar

import torch

from clip2latent_kedro.engines.arrival import be_worker
from clip2latent_kedro.engines.config import EngineConfig
from clip2latent_kedro.engines.restarts import Restarts
from clip2latent_kedro.errors import InputError

Ready = TypeVar("Ready")
Case = TypeVar("Case")
Result = TypeVar("Result")

_GIVEN = 2  # cases that a worker has at most: the next one lies there when one is done
_END_SECONDS = 5.0  # that a worker has to end by itself

Answer = tuple[bool, Any]
"""Whether a call came to its end, and what it returned; else what it raised."""


class LocalEngine:
    """Calls in this process, or in several of this machine (see `engine.Engine`)."""

    def __init__(self, device: str, config: EngineConfig) -> None:
        """Keep what is asked for; processes begin with a run.

        Args:
            device: Of this process; on GPUs, worker n takes the n-th of them.
            config: Of the step; without `workers` there is one.
        """
        self.device = device
        self.num_workers = config.workers or 1
        self.is_here = self.num_workers == 1
        self._threads = config.threads
        self._max_restarts = config.max_restarts

    def run(
        self,
        prepare: Callable[[str], Ready],
        call: Callable[[Ready, Case], Result],
        cases: Sequence[Case],
    ) -> Iterator[tuple[int, Result]]:
        """Yield the number and the result of each case (see `engine.Engine.run`)."""
        if not cases:
            return
        if self.is_here:
            yield from self._run_here(prepare, call, cases)
            return
        threads = self._threads or max(1, torch.get_num_threads() // self.num_workers)
        work = pack_work((prepare, call))
        workers = [
            Worker(work, self._device_of(number), threads)
            for number in range(min(self.num_workers, len(cases)))
        ]
        try:
            yield from self._share_out(workers, cases)
        finally:
            for worker in workers:
                worker.end()

    @contextlib.contextmanager
    def limiting_threads(self) -> Iterator[None]:
        """Compute in this process with the threads that are asked for."""
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _run_here(
        self,
        prepare: Callable[[str], Ready],
        call: Callable[[Ready, Case], Result],
        cases: Sequence[Case],
    ) -> Iterator[tuple[int, Result]]:
        with self.limiting_threads():
            ready = prepare(self.device)
            for number, case in enumerate(cases):
                yield number, call(ready, case)

    def _device_of(self, number: int) -> str:
        """Return the device of a worker."""
        if torch.device(self.device).type != "cuda":
            return self.device
        return f"cuda:{number % torch.cuda.device_count()}"

    def _share_out(
        self, workers: list["Worker"], cases: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        """Yield the number and the result of each case, as they come."""
        restarts = Restarts(self._max_restarts)
        waiting = list(range(len(cases)))
        num_left = len(cases)
        while num_left:
            for _ in range(_GIVEN):  # one each before anyone has two
                for worker in workers:
                    if waiting and len(worker.given) < _GIVEN:
                        worker.give(waiting[0], cases[waiting[0]])
                        del waiting[0]
            ready = wait([worker.connection for worker in workers if worker.given])
            for worker in [one for one in workers if one.connection in ready]:
                answer = worker.take()
                if answer is None:
                    restarts.count(worker.given[0], worker.why())
                    waiting[:0] = worker.given
                    worker.begin()
                    continue
                number = worker.given.pop(0)
                is_done, result = answer
                if not is_done:
                    raise result
                num_left -= 1
                yield number, result


def here(device: str) -> LocalEngine:
    """Return the engine of this process alone."""
    return LocalEngine(device, EngineConfig())


class Worker:
    """A process of this machine that makes calls, one after another.

    Attributes:
        connection: Where its answers come.
        given: Numbers of the cases that it has, the first of which it is at.
    """

    connection: Connection
    given: list[int]

    def __init__(self, work: bytes, device: str, threads: int) -> None:
        """Begin it.

        Args:
            work: Of `pack_work`.
            device: Where it computes.
            threads: On a CPU.
        """
        self._arguments = work, device, threads
        self.begin()

    def begin(self) -> None:
        """Begin the process, with no case; again, if it has died."""
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.given = []
        self._process = context.Process(
            target=_work, args=(other, *self._arguments), daemon=True
        )
        self._process.start()
        other.close()

    def give(self, number: int, case: Any) -> None:
        """Give it a case; one that has died is told of by `take`."""
        content = pickle.dumps(case)
        with contextlib.suppress(OSError):
            self.connection.send_bytes(content)
        self.given.append(number)

    def take(self) -> Answer | None:
        """Return its next answer, or None if it has died."""
        try:
            content = self.connection.recv_bytes()
        except (EOFError, OSError):
            return None
        answer: Answer = pickle.loads(content)  # noqa: S301 (of a process of ours)
        return answer

    def why(self) -> Exception:
        """Return how the process has ended."""
        self._process.join(_END_SECONDS)
        return RuntimeError(f"A worker ended with exit code {self._process.exitcode}.")

    def end(self) -> None:
        """End the process, whatever it is at."""
        self.connection.close()
        self._process.terminate()
        self._process.join(_END_SECONDS)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()


def pack_work(work: Any) -> bytes:
    """Return functions and what they hold, as other processes take them.

    Raises:
        InputError: If something of it cannot travel.
    """
    try:
        return pickle.dumps(work)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0][:200]
        msg = (
            f"Work for several processes must be what pickle can write, but is not "
            f"({reason}). Use workers: 1, or give the model that cannot travel a "
            f"__reduce__ (docs/own_models.md)."
        )
        raise InputError(msg) from error


def _work(connection: Connection, work: bytes, device: str, threads: int) -> None:
    """Be a worker, until nobody is at the other end."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (of several bars none is read)
    ready = call = failure = None
    try:
        be_worker(device)
        prepare, call = pickle.loads(work)  # noqa: S301 (of the process that began it)
        ready = prepare(device)
    except Exception as error:  # it is the answer to every case
        failure = error
    for content in iter(_receiving(connection).get, None):
        try:
            if failure is not None:
                raise failure
            assert call is not None
            result = call(ready, pickle.loads(content))  # noqa: S301 (likewise)
            answer = pickle.dumps((True, result))
        except Exception as error:
            answer = _pack_error(error)
        # As bytes: tensors would travel by shared memory, of which there may be little.
        with contextlib.suppress(OSError):
            connection.send_bytes(answer)


def _receiving(connection: Connection) -> "queue.SimpleQueue[bytes | None]":
    """Return where cases arrive, though an answer is being sent; None after the last.

    Otherwise both ends might wait for each other, if cases and answers are large.
    """
    arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def receive() -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                arrived.put(connection.recv_bytes())
        arrived.put(None)

    threading.Thread(target=receive, daemon=True).start()
    return arrived


def _pack_error(error: Exception) -> bytes:
    """Return an answer that is raised again, with the place where it was raised."""
    place = "".join(traceback.format_exception(error))
    try:
        error.add_note(f"In a worker:\n{place}")
        content = pickle.dumps((False, error))
        pickle.loads(content)  # noqa: S301 (some errors are written, but not read)
    except Exception:
        content = pickle.dumps((False, RuntimeError(place)))
    return content


def end_with_parent() -> None:
    """Wait for the process that began this one, which may be killed, and end."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
