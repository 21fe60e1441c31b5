"""A group of workers of a Ray cluster, by Ray Train."""

import asyncio
import logging
import pickle
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from clip2latent_kedro.engines.config import EngineConfig
from clip2latent_kedro.engines.groups import PATIENCE, Report, Seat, Work
from clip2latent_kedro.engines.local import pack_work
from clip2latent_kedro.engines.ray_cluster import (
    Share,
    check_installed,
    connect,
    share_cluster,
)
from clip2latent_kedro.engines.spawned import REPORT_EVERY, portable
from clip2latent_kedro.errors import InputError

POLL = 0.5  # seconds between looks at whether Ray Train has ended

logger = logging.getLogger(__name__)


class RayGroup:
    """Workers of TorchTrainer, one a GPU or with a share of cores (see `groups.Group`).

    What the first one yields goes through an actor of this process, which outlives the
    workers: where one dies, Ray Train begins all of them again, and the first finds
    the last result there.
    """

    def __init__(self, asked: str, config: EngineConfig) -> None:
        """Ask the cluster what it has.

        Args:
            asked: `cpu` leaves the cluster's GPUs alone.
            config: Of the step; without `workers` there are as many as the cluster
                has GPUs, or without GPUs cores.

        Raises:
            InputError: If Ray is not installed, or the cluster has less than asked for.
        """
        check_installed()
        self._asked, self._config = asked, config
        with connect(config) as ray:
            share = share_cluster(ray.cluster_resources(), asked, config)
        self.device = "cuda" if share.gpus else "cpu"
        self.size = share.workers

    def run(
        self, lead: Work, follow: Work, start: Any, report: Report
    ) -> Iterator[Any]:
        """Yield the results of the first worker (see `groups.Group.run`)."""
        config = self._config
        with connect(config) as ray, tempfile.TemporaryDirectory() as folder:
            share = share_cluster(ray.cluster_resources(), self._asked, config)
            mailbox = ray.remote(num_cpus=0)(_Mailbox).remote(pickle.dumps(start))
            told = {
                "mailbox": mailbox,
                "works": [ray.put(pack_work(work)) for work in (lead, follow)],
                "threads": share.threads,
            }
            training = _Training(told, share, config, folder)
            training.start()
            while True:
                is_over = not training.is_alive()
                letter = ray.get(mailbox.take.remote(POLL))
                if letter is None and is_over:
                    break
                if letter is None:
                    continue
                kind, content = pickle.loads(letter)  # noqa: S301 (of our workers)
                if kind == "result":
                    yield content
                elif kind == "report":
                    report(*content)
                else:
                    raise content
            if training.error is not None:
                raise self._explain(training.error)

    def _explain(self, error: Exception) -> Exception:
        """Return what to raise where Ray Train has given up."""
        failures = getattr(error, "worker_failures", None) or {}
        for failure in failures.values():
            if isinstance(failure, MemoryError | torch.OutOfMemoryError):
                return failure
        reasons = [str(failure).strip() for failure in failures.values()] or [
            str(error)
        ]
        msg = (
            f"Ray Train gave up after {self._config.max_restarts} restarts "
            f"({reasons[0].splitlines()[-1][:300]}). Give workers more memory, or "
            f"raise max_restarts."
        )
        raised = InputError(msg)
        raised.__cause__ = error
        return raised


class _Training(threading.Thread):
    """Waits for Ray Train, in a thread, for this process has results to take."""

    def __init__(
        self, told: dict[str, Any], share: Share, config: EngineConfig, folder: str
    ) -> None:
        super().__init__(daemon=True)
        from ray import train
        from ray.train.torch import TorchConfig, TorchTrainer

        self.error: Exception | None = None
        resources: dict[str, float] = {"CPU": share.cpus}
        if share.gpus:
            resources["GPU"] = share.gpus
        self._trainer = TorchTrainer(
            _work,
            train_loop_config=told,
            torch_config=TorchConfig(
                backend="cpu:gloo,cuda:nccl" if share.gpus else "gloo",
                timeout_s=int(PATIENCE.total_seconds()),
            ),
            scaling_config=train.ScalingConfig(
                num_workers=share.workers,
                use_gpu=bool(share.gpus),
                resources_per_worker=resources,
            ),
            run_config=train.RunConfig(
                storage_path=folder,
                failure_config=train.FailureConfig(max_failures=config.max_restarts),
            ),
        )

    def run(self) -> None:
        try:
            self._trainer.fit()
        except Exception as error:
            self.error = error


class _Mailbox:
    """Letters of the first worker to the process that waits for them."""

    def __init__(self, last: bytes) -> None:
        self._last = last  # result, or what to start from
        self._letters: asyncio.Queue[bytes] = asyncio.Queue(maxsize=4)

    async def put(self, letter: bytes, result: bytes | None) -> None:
        """Take a letter as soon as there is room; and a result, to go on from."""
        await self._letters.put(letter)
        if result is not None:
            self._last = result

    async def take(self, patience: float) -> bytes | None:
        """Return the next letter; None if there is none for so many seconds."""
        try:
            return await asyncio.wait_for(self._letters.get(), patience)
        except TimeoutError:
            return None

    async def last(self) -> bytes:
        """Return the last result, or what to start from."""
        return self._last


def _work(told: Mapping[str, Any]) -> None:
    """Do the work of a seat, as Ray Train begins it."""
    import ray
    from ray import train
    from ray.train.torch import get_device

    context = train.get_context()
    rank, size = context.get_world_rank(), context.get_world_size()
    seat = Seat(str(get_device()), rank, size)
    torch.set_num_threads(told["threads"])
    mailbox, is_first = told["mailbox"], rank == 0
    last = 0.0

    def say(kind: str, content: Any, result: bytes | None = None) -> None:
        ray.get(mailbox.put.remote(pickle.dumps((kind, content)), result))

    def report(step: int, loss: float, row: Mapping[str, float] | None) -> None:
        nonlocal last
        now = time.monotonic()
        if is_first and (row is not None or now - last > REPORT_EVERY):
            last = now
            say("report", (step, loss, row))

    work = pickle.loads(ray.get(told["works"][min(rank, 1)]))  # noqa: S301 (our own)
    start = pickle.loads(ray.get(mailbox.last.remote())) if is_first else None  # noqa: S301
    try:
        for result in work(seat, start, report):
            if is_first:
                say("result", result, pickle.dumps(result))
    except InputError as error:  # which all have alike, and again if it were repeated
        if is_first:
            say("error", portable(error))
