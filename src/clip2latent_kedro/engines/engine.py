"""What an engine is, and how one is chosen for a step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch

from clip2latent_kedro.checked import read_settings
from clip2latent_kedro.engines.config import (
    EngineConfig,
    EngineOverrides,
    Step,
    StepEngines,
)
from clip2latent_kedro.engines.local import LocalEngine
from clip2latent_kedro.runtime import pick_device

ENGINE_PARAMETERS = (
    *("device", "engine", "workers", "threads", "max_restarts", "ray", "engines"),
)
Ready = TypeVar("Ready")
Case = TypeVar("Case")
Result = TypeVar("Result")


class Engine(Protocol):
    """Makes calls side by side."""

    @property
    def device(self) -> str:
        """Where calls compute."""
        ...

    @property
    def num_workers(self) -> int:
        """How many are made at a time."""
        ...

    @property
    def is_here(self) -> bool:
        """Whether they are made in this process, one after another."""
        ...

    def limiting_threads(self) -> AbstractContextManager[None]:
        """Return a block in which this process computes as a call here would."""
        ...

    def run(
        self,
        prepare: Callable[[str], Ready],
        call: Callable[[Ready, Case], Result],
        cases: Sequence[Case],
    ) -> Iterator[tuple[int, Result]]:
        """Yield the number and the result of each case, as they come.

        A case whose worker dies is begun again by another one. No more cases are given
        out than there are workers, and half as many again, so that results which
        nobody has taken yet do not pile up.

        Args:
            prepare: Called once in every worker, with the device of that worker. It
                travels by pickle, as the other arguments and the results do.
            call: Called with what `prepare` returned and one of the cases.
            cases: Arguments.

        Raises:
            InputError: If workers die at a case more often than `max_restarts` allows.
            Exception: What a call raises.
        """
        ...


@dataclass(frozen=True)
class Engines:
    """The engines of a run.

    Attributes:
        asked: `params:device`, which may be `auto`.
        config: Of the run.
        steps: Steps that differ.
    """

    asked: str
    config: EngineConfig
    steps: StepEngines

    @property
    def device(self) -> str:
        """Where this process computes what is no call of an engine."""
        return pick_device(self.asked)

    def config_of(self, step: Step) -> EngineConfig:
        """Return the config of a step."""
        own: EngineOverrides = getattr(self.steps, step)
        return own.over(self.config)

    def of(self, step: Step, *, one_a_core: bool = False) -> Engine:
        """Return the engine of a step; nothing is started yet.

        Args:
            step: What it is for.
            one_a_core: Whether as many processes suit it on a CPU, where `workers`
                leaves that open; otherwise one does.
        """
        config = self.config_of(step)
        if config.engine == "ray":
            from clip2latent_kedro.engines.ray_cluster import RayEngine

            return RayEngine(self.asked, config)
        if config.workers is None and one_a_core and self.device == "cpu":
            config = replace(config, workers=torch.get_num_threads())
        return LocalEngine(self.device, config)


def read_engines(parameters: Mapping[str, Any]) -> Engines:
    """Return the engines of a run.

    Args:
        parameters: Those of the names in `ENGINE_PARAMETERS`, as they are written.
    """
    own = ("device", "engines")
    config = {name: parameters[name] for name in ENGINE_PARAMETERS if name not in own}
    return Engines(
        parameters["device"],
        read_settings(EngineConfig, config),
        read_settings(StepEngines, parameters["engines"]),
    )
