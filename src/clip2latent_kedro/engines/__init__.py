"""Where heavy steps compute: in this process, in several, or on a Ray cluster."""

from clip2latent_kedro.engines.config import (
    EngineConfig,
    EngineKind,
    EngineOverrides,
    RayConfig,
    StepEngines,
)
from clip2latent_kedro.engines.engine import (
    ENGINE_PARAMETERS,
    Engine,
    Engines,
    read_engines,
)
from clip2latent_kedro.engines.local import here

__all__ = [
    "ENGINE_PARAMETERS",
    "Engine",
    "EngineConfig",
    "EngineKind",
    "EngineOverrides",
    "Engines",
    "RayConfig",
    "StepEngines",
    "here",
    "read_engines",
]
