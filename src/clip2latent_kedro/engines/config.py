"""Which engine heavy steps compute with: `params:engine` and its neighbours."""

from dataclasses import dataclass, fields, replace
from typing import Annotated, Literal

from annotated_types import Gt

from clip2latent_kedro.checked import Checked, NonNegativeInt, PositiveInt

EngineKind = Literal["local", "ray"]
Step = Literal["data_generation", "training", "studies"]


@dataclass(frozen=True)
class RayConfig(Checked):
    """`params:ray`: which cluster, and what of it each worker takes.

    Attributes:
        address: `auto` for the cluster that this machine belongs to, or an address of
            one, such as `ray://head:10001`; None starts one on this machine.
        cpus_per_worker: Cores of each; None shares the cluster's among the workers.
        gpus_per_worker: GPUs of each; None for one where there are some, else none.
    """

    address: str | None = None
    cpus_per_worker: PositiveInt | None = None
    gpus_per_worker: Annotated[float, Gt(0)] | None = None


@dataclass(frozen=True)
class EngineConfig(Checked):
    """The engine of one heavy step.

    Attributes:
        engine: `local`, processes of this machine, or `ray`, workers of a cluster.
        workers: How many work side by side; None for as many as suit the step.
        threads: Threads of each on a CPU, on which the rounding of sums depends; None
            shares the cores.
        max_restarts: How often work that a dying worker has left is begun again
            before the run gives up.
        ray: Which cluster.
    """

    engine: EngineKind = "local"
    workers: PositiveInt | None = None
    threads: PositiveInt | None = None
    max_restarts: NonNegativeInt = 3
    ray: RayConfig = RayConfig()  # frozen


@dataclass(frozen=True)
class EngineOverrides(Checked):
    """What one step has in place of the run's own engine; None for the run's."""

    engine: EngineKind | None = None
    workers: PositiveInt | None = None
    threads: PositiveInt | None = None

    def over(self, config: EngineConfig) -> EngineConfig:
        """Return a config with what is set here in place of its own."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(config, **{k: v for k, v in found.items() if v is not None})


@dataclass(frozen=True)
class StepEngines(Checked):
    """`params:engines`: steps that differ from the run.

    Attributes:
        data_generation: Making of pairs.
        training: Of the prior and of its student.
        studies: Evaluation rows, variants of sweep, tuning and ablation, edits, and
            images of the coverage.
    """

    data_generation: EngineOverrides = EngineOverrides()  # frozen, as the others
    training: EngineOverrides = EngineOverrides()
    studies: EngineOverrides = EngineOverrides()
