"""The group that torchrun has started, of processes that all run the same command.

The first of them runs it. Each other one waits for what the first asks of it, and has
nothing else to do with the run: it reads no catalog and stores nothing.
"""

import logging
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import distributed

from clip2latent_kedro.engines.groups import PATIENCE, Report, Seat, Work
from clip2latent_kedro.errors import InputError


def launched_size() -> int:
    """Return how many processes torchrun has started, 1 without it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 1
    return int(os.environ["WORLD_SIZE"])


@dataclass(frozen=True)
class LaunchedGroup:
    """The first process of torchrun, and through it the others.

    Attributes:
        device: Where they compute; of several GPUs each takes its own.
        threads: Of each on a CPU; None leaves them as torchrun has set them.
    """

    device: str
    threads: int | None
    size: int = field(default_factory=launched_size, init=False)

    def run(
        self, lead: Work, follow: Work, start: Any, report: Report
    ) -> Iterator[Any]:
        """Yield the results of this process (see `groups.Group.run`).

        torchrun itself begins the run again if one dies, by its `--max-restarts`.
        """
        _ask((follow, self.device, self.threads))
        yield from lead(_take_seat(self.device, self.threads), start, report)


@contextmanager
def leading() -> Iterator[None]:
    """Let the other processes go at the end; if this one fails, torchrun ends them."""
    yield
    _ask(None)
    distributed.destroy_process_group()


def serve() -> None:
    """Do what the first process asks for, until it asks no more."""
    logging.disable(logging.WARNING)  # the first one has said it
    while (asked := _ask(None)) is not None:
        work, device, threads = asked
        try:
            for _ in work(_take_seat(device, threads), None, _say_nothing):
                pass
        except InputError:  # which the first one has as well, and tells
            return
    distributed.destroy_process_group()


def _ask(wanted: Any) -> Any:
    """Return what the first process wants of the others, which wait for it here."""
    if not distributed.is_initialized():
        distributed.init_process_group(timeout=PATIENCE)  # of the environment
    asked = [pickle.dumps(wanted)]
    distributed.broadcast_object_list(asked, src=0, device=torch.device("cpu"))
    return pickle.loads(asked[0])  # noqa: S301 (of a process of the same command)


def _take_seat(device: str, threads: int | None) -> Seat:
    if threads is not None:
        torch.set_num_threads(threads)
    if torch.device(device).type == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    return Seat(device, distributed.get_rank(), launched_size())


def _say_nothing(step: int, loss: float, row: Any) -> None:
    pass
