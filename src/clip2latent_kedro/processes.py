"""Calls side by side, in processes that end with the one that began them."""

import multiprocessing
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

Case = TypeVar("Case")
Result = TypeVar("Result")


class Processes:
    """Processes that share the cores, begun when there is something to do.

    What they return does not depend on how many there are, if each computes with one
    thread; without any, calls are made here, one after another.
    """

    def __init__(self, num: int) -> None:
        """Keep the number of processes, 2 or more; fewer are none."""
        self._num = num
        self._pool: ProcessPoolExecutor | None = None

    def map(
        self, function: Callable[[Case], Result], cases: Iterable[Case]
    ) -> Iterator[Result]:
        """Yield what a function returns for each case, in their order.

        Args:
            function: Of a module, or a partial of one; with its cases and results it
                travels by pickle.
            cases: Arguments.

        Raises:
            Exception: What a call raises.
        """
        if self._num < 2:
            yield from map(function, cases)
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._num,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(max(1, torch.get_num_threads() // self._num),),
            )
        calls = [self._pool.submit(_call, function, case) for case in cases]
        try:
            for call in calls:
                yield pickle.loads(call.result())  # noqa: S301 (of a process of ours)
        finally:
            for call in calls:
                call.cancel()


def count_processes(device: str, num_cases: int) -> int:
    """Return how many processes suit so many cases: one a core, and none on a GPU."""
    return min(num_cases, torch.get_num_threads()) if device == "cpu" else 0


def _begin(num_threads: int) -> None:
    torch.set_num_threads(num_threads)
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (of several bars none is read)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the process that began this one, which may be killed, and end."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[[Case], Result], case: Case) -> bytes:
    # As bytes: tensors would travel by shared memory, of which there may be little.
    return pickle.dumps(function(case))
