"""Training pairs (w, clip_embedding): their making, their recipe, their contents."""

from clip2latent_kedro.pairs.config import DataConfig, GenerationConfig
from clip2latent_kedro.pairs.contents import (
    PairShard,
    ShardProgress,
    TrainingPairs,
    summarise_pairs,
    summarise_trained,
)
from clip2latent_kedro.pairs.generation import generate_pairs, sample_w, sample_z
from clip2latent_kedro.pairs.recipe import (
    check_layers,
    describe_recipe,
    keep_progress,
)

__all__ = [
    "DataConfig",
    "GenerationConfig",
    "PairShard",
    "ShardProgress",
    "TrainingPairs",
    "check_layers",
    "describe_recipe",
    "generate_pairs",
    "keep_progress",
    "sample_w",
    "sample_z",
    "summarise_pairs",
    "summarise_trained",
]
