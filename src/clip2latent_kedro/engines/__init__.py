"""Where heavy steps compute: in this process, in several, or on a Ray cluster."""

from clip2latent_kedro.engines.config import (
    EngineConfig,
    EngineKind,
    EngineOverrides,
    RayConfig,
    StepEngines,
)
from clip2latent_kedro.engines.engine import Engine, Engines

__all__ = [
    "Engine",
    "EngineConfig",
    "EngineKind",
    "EngineOverrides",
    "Engines",
    "RayConfig",
    "StepEngines",
]
