"""Wiring of `training`."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.training.nodes import (
    collect_losses,
    export_prior,
    plot_losses,
    train,
)


def create_pipeline() -> Pipeline:
    """Return training_pairs -> prior_checkpoint -> prior, losses."""
    return Pipeline(
        [
            Node(
                train,
                inputs={
                    "training_pairs": "training_pairs",
                    "latent_statistics": "latent_statistics",
                    "data": "params:data",
                    "network": "params:model.network",
                    "diffusion": "params:model.diffusion",
                    "train": "params:train",
                    "seed": "params:seed",
                    "device": "params:device",
                    "resume": "params:resume",
                    "progress": "prior_checkpoint_progress",
                },
                outputs="prior_checkpoint",
                name="train",
            ),
            Node(
                collect_losses,
                inputs="prior_checkpoint",
                outputs="losses",
                name="collect_losses",
            ),
            Node(
                plot_losses,
                inputs="losses",
                outputs="losses_plot",
                name="plot_losses",
            ),
            Node(
                export_prior,
                inputs="prior_checkpoint",
                outputs="prior",
                name="export_prior",
            ),
        ]
    )
