"""Wiring of `data_generation`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.data_generation.nodes import (
    generate_training_pairs,
    measure_latent_statistics,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return z -> w -> image -> clip_embedding, then the statistics of w."""
    return Pipeline(
        [
            wire(
                generate_training_pairs,
                "training_pairs",
                generation="params:data_generation",
                progress="training_pairs_progress",
            ),
            wire(measure_latent_statistics, "latent_statistics"),
        ]
    )
