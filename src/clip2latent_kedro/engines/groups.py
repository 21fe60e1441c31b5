"""Groups: processes that do one work together, and find one another for it.

An engine makes calls that know nothing of each other. A group has seats, one for each
of its processes, which torch.distributed connects; the results are those of the first.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import torch
from torch import distributed

from clip2latent_kedro.engines.config import Step
from clip2latent_kedro.engines.engine import Engines
from clip2latent_kedro.errors import InputError

Report = Callable[[int, float, Mapping[str, float] | None], None]
"""(step, loss or NaN, row of the history or None) -> nothing; for those who watch."""

# The first validates and stores meanwhile; who dies is noticed by other means.
PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Seat:
    """The place of a process in a group.

    Attributes:
        device: Where it computes.
        rank: From 0; the results are those of the first.
        size: How many there are. If there are several, they are connected by the
            default group of torch.distributed.
    """

    device: str
    rank: int = 0
    size: int = 1


Work = Callable[[Seat, Any, Report], Iterator[Any]]
"""(seat, result to go on from or None, who watches) -> results, of the first seat."""


class Group(Protocol):
    """Processes that do one work together."""

    @property
    def device(self) -> str:
        """Where they compute; of several GPUs each takes its own."""

    @property
    def size(self) -> int:
        """How many there are."""

    def run(
        self, lead: Work, follow: Work, start: Any, report: Report
    ) -> Iterator[Any]:
        """Yield the results of the first process, as they come.

        Where one dies, all are begun again from the last result, or from the start.

        Args:
            lead: What the first process does. It travels by pickle, as the results do.
            follow: What each other one does; it is given no result to go on from.
            start: A result to go on from; None to begin.
            report: Is told in this process what the first one reports.

        Raises:
            InputError: If a process dies more often than `max_restarts` allows, or
                what is given cannot travel.
            Exception: What the work raises.
        """
        ...


@dataclass(frozen=True)
class AloneGroup:
    """This process alone.

    Attributes:
        device: Where it computes.
        threads: On a CPU; None leaves them as they are.
    """

    device: str
    threads: int | None = None
    size: int = field(default=1, init=False)

    def run(
        self, lead: Work, follow: Work, start: Any, report: Report
    ) -> Iterator[Any]:
        """Yield the results of the work (see `Group.run`)."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        yield from lead(Seat(self.device), start, report)


def choose_group(engines: Engines, step: Step) -> Group:
    """Return the group of a step; nothing is started yet.

    Under torchrun it is what that has started; else what the config asks for.

    Args:
        engines: Of the run.
        step: Which one.

    Raises:
        InputError: If the config asks for workers beside those of torchrun, for more
            than there are GPUs, or for Ray where it is not installed.
    """
    from clip2latent_kedro.engines.launched import LaunchedGroup, launched_size

    config = engines.config_of(step)
    if launched_size() > 1:
        if config.engine != "local" or config.workers not in (None, launched_size()):
            msg = (
                f"Under torchrun the training has its {launched_size()} workers, got "
                f"engine {config.engine} and workers {config.workers}. Leave engine "
                f"local and workers null, or start without torchrun."
            )
            raise InputError(msg)
        return LaunchedGroup(engines.device, config.threads)
    if config.engine == "ray":
        from clip2latent_kedro.engines.ray_train import RayGroup

        return RayGroup(engines.asked, config)
    if (config.workers or 1) == 1:
        return AloneGroup(engines.device, config.threads)
    from clip2latent_kedro.engines.spawned import SpawnedGroup

    return SpawnedGroup(engines.device, config)


def connect(seat: Seat, rendezvous: str) -> None:
    """Meet the others of a group, by gloo on CPUs and by nccl on GPUs.

    Args:
        seat: Of this process, of several.
        rendezvous: Where they meet, as torch.distributed writes it.
    """
    on_gpu = torch.device(seat.device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(seat.device)
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
        init_method=rendezvous,
        rank=seat.rank,
        world_size=seat.size,
        timeout=PATIENCE,
    )
