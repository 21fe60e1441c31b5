"""Wiring of `evaluation`."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.evaluation.nodes import (
    assemble_methods,
    draw_samples,
    embed_prompts,
    measure_gap,
    score_samples,
    time_methods,
)
from clip2latent_kedro.pipelines.evaluation.results import (
    draw_figure,
    summarise,
    write_report,
)


def create_pipeline() -> Pipeline:
    """Return prompts and prior -> samples -> scores, timings, report."""
    return Pipeline(
        [
            Node(
                embed_prompts,
                inputs={
                    "prompts": "prompts",
                    "encoder": "encoder",
                    "judge": "judge",
                    "evaluation": "params:evaluation",
                    "device": "params:device",
                },
                outputs="queries",
                name="embed_prompts",
            ),
            Node(
                assemble_methods,
                inputs={
                    "generator": "generator",
                    "encoder": "encoder",
                    "prior": "prior",
                    "prior_best": "prior_best",
                    "student": "student",
                    "training_pairs": "training_pairs",
                    "reference_images": "reference_images",
                    "reference_z": "reference_z",
                    "data": "params:data",
                    "sampling": "params:sampling",
                    "evaluation": "params:evaluation",
                    "device": "params:device",
                },
                outputs=["methods", "evaluated_models"],
                name="assemble_methods",
            ),
            Node(
                draw_samples,
                inputs={
                    "methods": "methods",
                    "queries": "queries",
                    "encoder": "encoder",
                    "judge": "judge",
                    "evaluation": "params:evaluation",
                    "seed": "params:seed",
                    "device": "params:device",
                },
                outputs=["drawn", "samples", "samples_w"],
                name="draw_samples",
            ),
            Node(
                score_samples,
                inputs={
                    "drawn": "drawn",
                    "queries": "queries",
                    "prior": "prior",
                    "data": "params:data",
                },
                outputs="scores_by_prompt",
                name="score_samples",
            ),
            Node(
                measure_gap,
                inputs={
                    "drawn": "drawn",
                    "queries": "queries",
                    "prior": "prior",
                    "training_pairs": "training_pairs",
                    "sampling": "params:sampling",
                    "seed": "params:seed",
                },
                outputs="modality_gap",
                name="measure_modality_gap",
            ),
            Node(
                time_methods,
                inputs={
                    "methods": "methods",
                    "queries": "queries",
                    "encoder": "encoder",
                    "evaluation": "params:evaluation",
                    "seed": "params:seed",
                    "device": "params:device",
                },
                outputs="timings",
                name="time_methods",
            ),
            Node(
                summarise,
                inputs={
                    "scores_by_prompt": "scores_by_prompt",
                    "timings": "timings",
                    "evaluation": "params:evaluation",
                    "seed": "params:seed",
                },
                outputs="scores",
                name="summarise_scores",
            ),
            Node(
                draw_figure,
                inputs={
                    "drawn": "drawn",
                    "queries": "queries",
                    "evaluation": "params:evaluation",
                },
                outputs="samples_figure",
                name="draw_figure",
            ),
            Node(
                write_report,
                inputs={
                    "scores": "scores",
                    "modality_gap": "modality_gap",
                    "timings": "timings",
                    "samples_figure": "samples_figure",
                    "models": "evaluated_models",
                    "judge": "judge",
                    "sampling": "params:sampling",
                    "evaluation": "params:evaluation",
                    "seed": "params:seed",
                },
                outputs=["scores_report", "scores_table"],
                name="write_report",
            ),
        ]
    )
