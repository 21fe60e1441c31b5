"""The engine of a Ray cluster, or of one that is started on this machine."""

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import TypeVar

from clip2latent_kedro.engines.config import EngineConfig
from clip2latent_kedro.errors import InputError

Ready = TypeVar("Ready")
Case = TypeVar("Case")
Result = TypeVar("Result")


class RayEngine:
    """Calls by actors of a cluster, each with its share of cores or of a GPU."""

    def __init__(self, device: str, config: EngineConfig) -> None:
        """Keep what is asked for; the cluster is met with the first run.

        Args:
            device: Of this process, which need not be that of the workers.
            config: Of the step.

        Raises:
            InputError: If Ray is not installed.
        """
        if find_spec("ray") is None:
            msg = (
                "engine: ray needs the package ray, which is not installed. Use "
                "`uv run --extra ray kedro run ...`, or engine: local."
            )
            raise InputError(msg)
        self.device = device
        self.num_workers = config.workers or 1
        self._config = config

    def run(
        self,
        prepare: Callable[[str], Ready],
        call: Callable[[Ready, Case], Result],
        cases: Sequence[Case],
    ) -> Iterator[tuple[int, Result]]:
        """Yield the number and the result of each case (see `engine.Engine.run`)."""
        raise NotImplementedError
