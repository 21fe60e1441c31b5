"""Wiring of `distillation`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.distillation.nodes import (
    collect_distillation_history,
    distill,
    export_student,
    plot_distillation_history,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return prior_checkpoint, training_pairs -> student_checkpoint -> student."""
    return Pipeline(
        [
            wire(distill, "student_checkpoint", progress="student_checkpoint_progress"),
            wire(collect_distillation_history, "distillation_history"),
            wire(plot_distillation_history, "distillation_plot"),
            wire(export_student, "student"),
        ]
    )
