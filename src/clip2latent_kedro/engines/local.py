"""The engine of one machine: this process, or processes that end with it."""

import logging
import multiprocessing
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

import torch

from clip2latent_kedro.engines.config import EngineConfig
from clip2latent_kedro.errors import InputError

Ready = TypeVar("Ready")
Case = TypeVar("Case")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

_ready: Any = None  # of `prepare`, in a worker


class LocalEngine:
    """Calls in this process, or in several of this machine (see `engine.Engine`)."""

    def __init__(self, device: str, config: EngineConfig) -> None:
        """Keep what is asked for; processes begin with the first run.

        Args:
            device: Of this process; on GPUs, worker n takes the n-th of them.
            config: Of the step; without `workers` there is one.
        """
        self.device = device
        self.num_workers = config.workers or 1
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
        if self.num_workers == 1:
            if self._threads is not None:
                torch.set_num_threads(self._threads)
            ready = prepare(self.device)
            for number, case in enumerate(cases):
                yield number, call(ready, case)
            return
        waiting = list(range(len(cases)))
        restarts = 0
        while waiting:
            pool = self._begin(prepare)
            try:
                for number, result in _share_out(pool, call, cases, waiting):
                    yield number, result
            except BrokenProcessPool as error:
                restarts += 1
                if restarts > self._max_restarts:
                    msg = (
                        f"Workers died {restarts} times, and max_restarts allows "
                        f"{self._max_restarts}. Give each more memory (fewer workers), "
                        f"or raise max_restarts."
                    )
                    raise InputError(msg) from error
                logger.warning(
                    "A worker has died: what it left is begun again (%d of %d times).",
                    restarts,
                    self._max_restarts,
                )
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, prepare: Callable[[str], Ready]) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        threads = self._threads or max(1, torch.get_num_threads() // self.num_workers)
        numbers = context.SimpleQueue()
        for number in range(self.num_workers):
            numbers.put(number)
        return ProcessPoolExecutor(
            self.num_workers,
            mp_context=context,
            initializer=_begin,
            initargs=(pickle.dumps(prepare), self.device, threads, numbers),
        )


def _share_out(
    pool: ProcessPoolExecutor,
    call: Callable[[Ready, Case], Result],
    cases: Sequence[Case],
    waiting: list[int],
) -> Iterator[tuple[int, Result]]:
    """Yield results of waiting cases, and take each from them."""
    most = pool._max_workers + (pool._max_workers + 1) // 2  # type: ignore[attr-defined]
    left = list(waiting)
    begun: dict[Future[bytes], int] = {}
    while left or begun:
        while left and len(begun) < most:
            number = left.pop(0)
            begun[pool.submit(_call, call, cases[number])] = number
        done, _ = wait(begun, return_when=FIRST_COMPLETED)
        for future in done:
            number = begun.pop(future)
            result: Result = pickle.loads(future.result())  # noqa: S301 (a process of ours)
            waiting.remove(number)
            yield number, result


def _begin(prepare: bytes, device: str, threads: int, numbers: Any) -> None:
    """Begin a worker."""
    global _ready
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (of several bars none is read)
    number = numbers.get()
    if torch.device(device).type == "cuda":
        device = f"cuda:{number % torch.cuda.device_count()}"
    _ready = pickle.loads(prepare)(device)  # noqa: S301 (of the process that began it)


def _end_with_parent() -> None:
    """Wait for the process that began this one, which may be killed, and end."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(call: Callable[[Ready, Case], Result], case: Case) -> bytes:
    # As bytes: tensors would travel by shared memory, of which there may be little.
    return pickle.dumps(call(_ready, case))
