"""Wiring of `training`."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.training.nodes import (
    collect_history,
    export_priors,
    measure_text_mean,
    plot_history,
    prepare_validation,
    train,
)


def create_pipeline() -> Pipeline:
    """Return training_pairs -> prior_checkpoint -> prior, prior_best, history."""
    return Pipeline(
        [
            Node(
                measure_text_mean,
                inputs={
                    "prompt_bank": "prompt_bank",
                    "encoder": "encoder",
                    "device": "params:device",
                },
                outputs="text_mean",
                name="measure_text_mean",
            ),
            Node(
                prepare_validation,
                inputs={
                    "generator": "generator",
                    "encoder": "encoder",
                    "training_pairs": "training_pairs",
                    "prompt_bank": "prompt_bank",
                    "data": "params:data",
                    "train": "params:train",
                    "validation": "params:validation",
                    "sampling": "params:sampling",
                    "data_generation": "params:data_generation",
                    "seed": "params:seed",
                    "device": "params:device",
                },
                outputs="validator",
                name="prepare_validation",
            ),
            Node(
                train,
                inputs={
                    "training_pairs": "training_pairs",
                    "latent_statistics": "latent_statistics",
                    "text_mean": "text_mean",
                    "validator": "validator",
                    "data": "params:data",
                    "network": "params:model.network",
                    "diffusion": "params:model.diffusion",
                    "train": "params:train",
                    "seed": "params:seed",
                    "device": "params:device",
                    "resume": "params:resume",
                    "progress": "prior_checkpoint_progress",
                },
                # Pictures first: a checkpoint promises those up to its step.
                outputs=["validation_pictures", "prior_checkpoint"],
                name="train",
            ),
            Node(
                collect_history,
                inputs="prior_checkpoint",
                outputs="training_history",
                name="collect_history",
            ),
            Node(
                plot_history,
                inputs="training_history",
                outputs="training_plot",
                name="plot_history",
            ),
            Node(
                export_priors,
                inputs="prior_checkpoint",
                outputs=["prior", "prior_best"],
                name="export_priors",
            ),
        ]
    )
