"""Wiring of `data_generation`."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.data_generation.nodes import (
    generate_training_pairs,
    measure_latent_statistics,
)


def create_pipeline() -> Pipeline:
    """Return z -> w -> image -> clip_embedding, then the statistics of w."""
    return Pipeline(
        [
            Node(
                generate_training_pairs,
                inputs={
                    "generator": "generator",
                    "encoder": "encoder",
                    "data": "params:data",
                    "generation": "params:data_generation",
                    "seed": "params:seed",
                    "device": "params:device",
                    "resume": "params:resume",
                    "progress": "training_pairs_progress",
                },
                outputs="training_pairs",
                name="generate_training_pairs",
            ),
            Node(
                measure_latent_statistics,
                inputs="training_pairs",
                outputs="latent_statistics",
                name="measure_latent_statistics",
            ),
        ]
    )
