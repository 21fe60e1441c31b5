"""Wiring of `distillation`."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.distillation.nodes import (
    collect_distillation_history,
    distill,
    export_student,
    plot_distillation_history,
)


def create_pipeline() -> Pipeline:
    """Return prior_checkpoint, training_pairs -> student_checkpoint -> student."""
    return Pipeline(
        [
            Node(
                distill,
                inputs={
                    "prior_checkpoint": "prior_checkpoint",
                    "training_pairs": "training_pairs",
                    "distillation": "params:distillation",
                    "seed": "params:seed",
                    "device": "params:device",
                    "resume": "params:resume",
                    "progress": "student_checkpoint_progress",
                },
                outputs="student_checkpoint",
                name="distill",
            ),
            Node(
                collect_distillation_history,
                inputs="student_checkpoint",
                outputs="distillation_history",
                name="collect_distillation_history",
            ),
            Node(
                plot_distillation_history,
                inputs="distillation_history",
                outputs="distillation_plot",
                name="plot_distillation_history",
            ),
            Node(
                export_student,
                inputs="student_checkpoint",
                outputs="student",
                name="export_student",
            ),
        ]
    )
