"""Wiring of `training`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.training.nodes import (
    collect_history,
    export_priors,
    gather_settings,
    gather_training_models,
    measure_text_mean,
    plot_history,
    prepare_validation,
    train,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return training_pairs -> prior_checkpoint -> prior, prior_best, history."""
    return Pipeline(
        [
            wire(measure_text_mean, "text_mean"),
            wire(gather_settings, "prior_settings"),
            wire(gather_training_models, "training_models"),
            wire(prepare_validation, "validator", models="training_models"),
            wire(
                train,
                # Pictures first: a checkpoint promises those up to its step.
                ["validation_pictures", "prior_checkpoint"],
                progress="prior_checkpoint_progress",
            ),
            wire(collect_history, "training_history"),
            wire(plot_history, "training_plot"),
            wire(export_priors, ["prior", "prior_best"]),
        ]
    )
