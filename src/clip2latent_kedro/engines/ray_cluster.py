"""The engine of a Ray cluster, or of one that is started on this machine."""

import logging
import os
import pickle
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from typing import Any, TypeVar

import torch

from clip2latent_kedro.engines.arrival import be_worker
from clip2latent_kedro.engines.config import EngineConfig
from clip2latent_kedro.engines.local import pack_work
from clip2latent_kedro.engines.restarts import Restarts, most_begun
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.runtime import pick_device

Ready = TypeVar("Ready")
Case = TypeVar("Case")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

_FIND_SECONDS = 10.0  # for whoever listens at an address


class RayEngine:
    """Calls by actors of a cluster, each with its share of cores or of a GPU."""

    def __init__(self, asked: str, config: EngineConfig) -> None:
        """Keep what is asked for; the cluster is met with the first run.

        Args:
            asked: `cpu` leaves the cluster's GPUs alone.
            config: Of the step; without `workers` there are as many as the cluster
                has GPUs, or without GPUs cores.

        Raises:
            InputError: If Ray is not installed.
        """
        check_installed()
        self.is_here = False
        self._asked, self._config = asked, config

    @contextmanager
    def limiting_threads(self) -> Iterator[None]:
        """Leave this process as it is: its workers have the threads."""
        yield

    @property
    def device(self) -> str:
        """Where calls compute; asks the cluster if it is another machine's."""
        if self._config.ray.address is None:
            return pick_device(self._asked)
        return "cuda" if self._share.gpus else "cpu"

    @property
    def num_workers(self) -> int:
        """How many calls are made at a time; asks the cluster if nothing says it."""
        return self._config.workers or self._share.workers

    @cached_property
    def _share(self) -> "Share":
        with connect(self._config) as ray:
            return share_cluster(ray.cluster_resources(), self._asked, self._config)

    def run(
        self,
        prepare: Callable[[str], Ready],
        call: Callable[[Ready, Case], Result],
        cases: Sequence[Case],
    ) -> Iterator[tuple[int, Result]]:
        """Yield the number and the result of each case (see `engine.Engine.run`)."""
        if not cases:
            return
        with connect(self._config) as ray:
            share = share_cluster(ray.cluster_resources(), self._asked, self._config)
            work = ray.put(pack_work((prepare, call)))  # once a node
            actor = _worker_class(ray, share)
            device = "cuda" if share.gpus else "cpu"
            pool = _Pool(ray, work, lambda: actor.remote(device, share.threads))
            try:
                yield from pool.share_out(cases, share.workers, self._config)
            finally:
                pool.end()


class Share:
    """What each worker has of a cluster.

    Attributes:
        workers: How many there are.
        cpus: Cores of each.
        gpus: GPUs of each, which may be a part of one.
        threads: Threads of each on a CPU.
    """

    def __init__(self, workers: int, cpus: int, gpus: float, threads: int) -> None:
        """Keep the numbers."""
        self.workers, self.cpus, self.gpus, self.threads = workers, cpus, gpus, threads


def share_cluster(
    resources: dict[str, float], asked: str, config: EngineConfig
) -> Share:
    """Return what each worker has of a cluster's cores and GPUs.

    Args:
        resources: `CPU` and `GPU`, of the whole cluster.
        asked: `cpu` for none of its GPUs.
        config: Of the step.

    Raises:
        InputError: If the cluster has less than is asked for.
    """
    cores = int(resources.get("CPU", 0))
    cards = 0.0 if asked == "cpu" else resources.get("GPU", 0.0)
    gpus = config.ray.gpus_per_worker
    if gpus is None:
        gpus = 1.0 if cards >= 1 else 0.0
    if config.workers is not None:
        workers = config.workers
    elif gpus:
        workers = max(1, int(cards / gpus))
    else:
        workers = max(1, cores // (config.ray.cpus_per_worker or 1))
    cpus = config.ray.cpus_per_worker or max(1, cores // workers)
    if workers * cpus > cores or workers * gpus > cards:
        msg = (
            f"The Ray cluster must have {workers} x {cpus} cores and {workers} x "
            f"{gpus:g} GPUs, got {cores} and {cards:g}. Lower workers or "
            f"ray.cpus_per_worker, or use a larger cluster."
        )
        raise InputError(msg)
    return Share(workers, cpus, gpus, config.threads or cpus)


@contextmanager
def connect(config: EngineConfig) -> Iterator[Any]:
    """Connect to the cluster of a config, and give the module `ray`.

    A connection that is there already serves, and stays. A cluster that is started
    here ends with the block.

    Raises:
        InputError: If Ray is not installed, or the cluster cannot be reached.
    """
    check_installed()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # the first is raised
    import ray

    if ray.is_initialized():
        yield ray
        return
    address = config.ray.address
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        cores = max(os.cpu_count() or 1, config.workers or 1)
        options |= {"num_cpus": cores, "include_dashboard": False}
    try:
        _knock(address)
        with _modules_found():
            ray.init(address="local" if address is None else address, **options)
    except (OSError, RuntimeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        where = "on this machine" if address is None else f"at {address}"
        msg = (
            f"No Ray cluster was found {where} ({reason}). Start one by `ray start "
            f"--head`, correct ray.address, or set it to null for one of this machine."
        )
        raise InputError(msg) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Raise `OSError` if nobody is at HOST:PORT, for which Ray would wait for long."""
    host, _, port = (address or "").rpartition("://")[2].partition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=_FIND_SECONDS).close()


@contextmanager
def _modules_found() -> Iterator[None]:
    """Let processes that begin in the block find the modules that this one finds."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        yield
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


def check_installed() -> None:
    """Raise `InputError` if Ray is not installed."""
    if find_spec("ray") is None:
        msg = (
            "engine: ray needs the package ray, which is not installed. Use "
            "`uv run --extra ray kedro run ...`, or engine: local."
        )
        raise InputError(msg)


class _Worker:
    """One worker: what `prepare` returned, and calls with it."""

    def __init__(self, device: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self._device = device
        self._work: tuple[Any, Callable[[Any, Any], Any]] | None = None

    def call(self, work: bytes, case: Any) -> Any:
        """Make a call, after what is prepared once."""
        if self._work is None:  # here, where Ray tells what is raised
            be_worker(self._device)
            prepare, call = pickle.loads(work)  # noqa: S301 (of the driver)
            self._work = prepare(self._device), call
        ready, call = self._work
        return call(ready, case)


def _worker_class(ray: Any, share: Share) -> Any:
    options = {"num_cpus": share.cpus, "num_gpus": share.gpus, "max_restarts": 0}
    return ray.remote(**options)(_Worker)


class _Pool:
    """Actors, and the cases that each has been given."""

    def __init__(self, ray: Any, work: Any, begin: Callable[[], Any]) -> None:
        self._ray, self._work, self._begin = ray, work, begin
        self._given: dict[Any, tuple[Any, int]] = {}  # reference: actor, case
        self._actors: list[Any] = []

    def share_out(
        self, cases: Sequence[Any], num_workers: int, config: EngineConfig
    ) -> Iterator[tuple[int, Any]]:
        """Yield the number and the result of each case, as they come."""
        ray = self._ray
        restarts = Restarts(config.max_restarts)
        waiting = list(range(len(cases)))
        for _ in range(min(num_workers, len(cases))):
            self._actors.append(self._begin())
        most = most_begun(len(self._actors))
        while waiting or self._given:
            while waiting and len(self._given) < most:
                self._give(waiting.pop(0), cases)
            done, _ = ray.wait(list(self._given), num_returns=1)
            actor, number = self._given.pop(done[0])
            try:
                result = ray.get(done[0])
            except ray.exceptions.RayActorError as error:
                restarts.count(number, error)
                waiting[:0] = [number, *self._drop(actor)]
                self._actors.append(self._begin())
                continue
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            yield number, result

    def end(self) -> None:
        """End all workers."""
        for actor in self._actors:
            self._ray.kill(actor)

    def _give(self, number: int, cases: Sequence[Any]) -> None:
        """Give a case to the worker that has fewest."""
        counts = {id(actor): 0 for actor in self._actors}
        for actor, _ in self._given.values():
            counts[id(actor)] += 1
        actor = min(self._actors, key=lambda one: counts[id(one)])
        self._given[actor.call.remote(self._work, cases[number])] = actor, number

    def _drop(self, actor: Any) -> list[int]:
        """Forget a worker that died; return the other cases that it was given."""
        self._actors.remove(actor)
        left = [ref for ref, (one, _) in self._given.items() if one is actor]
        return [self._given.pop(ref)[1] for ref in left]
