"""Wiring of `evaluation`."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.evaluation.nodes import (
    answer_prompts,
    embed_prompts,
    gather_models,
    plan,
)
from clip2latent_kedro.pipelines.evaluation.results import (
    draw_samples,
    plot_scores,
    write_report,
)
from clip2latent_kedro.pipelines.evaluation.scores import (
    compare_rows,
    measure_gap,
    measure_row_distances,
    score_answers,
    summarise,
)
from clip2latent_kedro.pipelines.evaluation.timings import (
    collect_timings,
    time_methods,
)


def create_pipeline() -> Pipeline:
    """Return prompts and models -> answers, seconds -> scores, figures, report."""
    return _answering() + _scoring() + _reporting()


def _answering() -> Pipeline:
    """Return everything that takes time; what it makes is stored row by row."""
    return Pipeline(
        [
            Node(
                embed_prompts,
                inputs={
                    "prompts": "prompts",
                    "encoder": "encoder",
                    "held_out_encoder": "held_out_encoder",
                    "judge": "judge",
                    "evaluation": "params:evaluation",
                    "device": "params:device",
                },
                outputs="queries",
                name="embed_prompts",
            ),
            Node(
                gather_models,
                inputs={
                    "generator": "generator",
                    "encoder": "encoder",
                    "prior": "prior",
                    "prior_best": "prior_best_if_made",
                    "student": "student",
                    "training_pairs": "training_pairs_if_made",
                    "reference_images": "reference_images",
                    "reference_z": "reference_z",
                    "lafite": "lafite",
                    "clip2gan": "clip2gan",
                    "data": "params:data",
                    "sampling": "params:sampling",
                    "baselines": "params:baselines",
                    "evaluation": "params:evaluation",
                    "device": "params:device",
                },
                outputs="evaluation_models",
                name="gather_evaluation_models",
            ),
            Node(
                plan,
                inputs={
                    "models": "evaluation_models",
                    "queries": "queries",
                    "held_out_encoder": "held_out_encoder",
                    "judge": "judge",
                    "evaluation": "params:evaluation",
                    "seed": "params:seed",
                },
                outputs=["evaluation_rows", "evaluation_rows_left_out"],
                name="plan_rows",
            ),
            Node(
                answer_prompts,
                inputs={
                    "rows": "evaluation_rows",
                    "models": "evaluation_models",
                    "queries": "queries",
                    "held_out_encoder": "held_out_encoder",
                    "judge": "judge",
                    "progress": "answers_progress",
                    "evaluation": "params:evaluation",
                    "psi": "params:data_generation.psi",
                    "seed": "params:seed",
                    "resume": "params:resume",
                },
                outputs="answers",
                name="answer_prompts",
            ),
            Node(
                time_methods,
                inputs={
                    "rows": "evaluation_rows",
                    "models": "evaluation_models",
                    "queries": "queries",
                    "progress": "timed_rows_progress",
                    "evaluation": "params:evaluation",
                    "seed": "params:seed",
                    "resume": "params:resume",
                },
                outputs="timed_rows",
                name="time_methods",
            ),
        ]
    )


def _scoring() -> Pipeline:
    """Return stored answers and seconds -> tables."""
    return Pipeline(
        [
            Node(
                score_answers,
                inputs={
                    "answers": "answers",
                    "rows": "evaluation_rows",
                    "queries": "queries",
                    "prior": "prior",
                    "models": "evaluation_models",
                },
                outputs="scores_by_prompt",
                name="score_answers",
            ),
            Node(
                measure_row_distances,
                inputs={
                    "answers": "answers",
                    "rows": "evaluation_rows",
                    "evaluation": "params:evaluation",
                    "seed": "params:seed",
                },
                outputs="row_distances",
                name="measure_row_distances",
            ),
            Node(
                measure_gap,
                inputs={
                    "answers": "answers",
                    "rows": "evaluation_rows",
                    "queries": "queries",
                    "prior": "prior",
                    "models": "evaluation_models",
                    "seed": "params:seed",
                },
                outputs="modality_gap",
                name="measure_modality_gap",
            ),
            Node(
                collect_timings,
                inputs={
                    "timed": "timed_rows",
                    "rows": "evaluation_rows",
                    "evaluation": "params:evaluation",
                },
                outputs="timings",
                name="collect_timings",
            ),
            Node(
                summarise,
                inputs={
                    "scores_by_prompt": "scores_by_prompt",
                    "distances": "row_distances",
                    "timings": "timings",
                    "rows": "evaluation_rows",
                    "evaluation": "params:evaluation",
                    "seed": "params:seed",
                },
                outputs="scores",
                name="summarise_scores",
            ),
            Node(
                compare_rows,
                inputs={
                    "scores_by_prompt": "scores_by_prompt",
                    "evaluation": "params:evaluation",
                    "seed": "params:seed",
                },
                outputs="score_differences",
                name="compare_rows",
            ),
        ]
    )


def _reporting() -> Pipeline:
    """Return tables and answers -> figures and the report."""
    return Pipeline(
        [
            Node(
                draw_samples,
                inputs={
                    "answers": "answers",
                    "rows": "evaluation_rows",
                    "queries": "queries",
                    "evaluation": "params:evaluation",
                },
                outputs="samples_figure",
                name="draw_samples",
            ),
            Node(
                plot_scores,
                inputs={
                    "scores": "scores",
                    "answers": "answers",
                    "rows": "evaluation_rows",
                },
                outputs="scores_figure",
                name="plot_scores",
            ),
            Node(
                write_report,
                inputs={
                    "scores": "scores",
                    "scores_by_prompt": "scores_by_prompt",
                    "differences": "score_differences",
                    "modality_gap": "modality_gap",
                    "timings": "timings",
                    "pictures": "samples_figure",
                    "plots": "scores_figure",
                    "rows": "evaluation_rows",
                    "left_out": "evaluation_rows_left_out",
                    "models": "evaluation_models",
                    "held_out_encoder": "held_out_encoder",
                    "judge": "judge",
                    "evaluation": "params:evaluation",
                    "seed": "params:seed",
                },
                outputs=["scores_report", "scores_table"],
                name="write_report",
            ),
        ]
    )
