"""The node that says where heavy steps compute, of every pipeline that has one."""

from kedro.pipeline import Node

from clip2latent_kedro.engines import EngineConfig, Engines, RayConfig, StepEngines
from clip2latent_kedro.engines.config import EngineKind
from clip2latent_kedro.pipelines.wiring import wire


def prepare_engines(
    device: str,
    engine: EngineKind,
    workers: int | None,
    threads: int | None,
    max_restarts: int,
    ray: RayConfig,
    steps: StepEngines,
) -> Engines:
    """Return what heavy steps compute with; nothing is started yet.

    Args:
        device: Where to compute, which may be `auto`.
        engine: Of every step.
        workers: Of every step; None for as many as suit it.
        threads: Of each worker on a CPU; None shares the cores.
        max_restarts: How often work of dying workers is begun again.
        ray: Which cluster.
        steps: Those that differ.
    """
    config = EngineConfig(engine, workers, threads, max_restarts, ray)
    return Engines(device, config, steps)


def wire_engines(output: str = "engines") -> Node:
    """Return the node; heavy nodes take its output as an argument `engines`.

    Args:
        output: Catalog entry, of its own in pipelines that are run together.
    """
    return wire(prepare_engines, output, steps="params:engines")
