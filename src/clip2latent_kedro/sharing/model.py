"""What a folder holds: a prior, and how to load the two models that it joins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.samplers import SamplingConfig

PREPROCESS = ("embed_preprocess", "score_preprocess")


@dataclass(frozen=True)
class ModelReference:
    """How to load a frozen model, and which one it must be.

    Attributes:
        kind: Which loader.
        filepath: Path or address; None for a kind that needs no file.
        options: Handed to the loader.
        identity: Of the model; None takes any.
    """

    kind: str
    filepath: str | None
    options: Mapping[str, Any]
    identity: Identity | None = None


@dataclass(frozen=True)
class SharedModel:
    """All that answers prompts.

    Attributes:
        checkpoint: The prior; what only training needs of it is not shared.
        generator: w -> image.
        encoder: Text -> embedding.
        sampling: How to draw, unless a call says otherwise.
        preprocess: Of `PREPROCESS`, how the encoder reads images to condition on and
            images to score; what is missing is `standard`.
    """

    checkpoint: Checkpoint
    generator: ModelReference
    encoder: ModelReference
    sampling: SamplingConfig
    preprocess: Mapping[str, Any] = field(default_factory=dict)
