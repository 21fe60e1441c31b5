"""Wiring of `evaluation`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.evaluation.figures import (
    plot_scores,
    plot_tradeoffs,
)
from clip2latent_kedro.pipelines.evaluation.nodes import (
    answer_prompts,
    embed_prompts,
    leave_out_failed,
    plan,
    plan_images,
)
from clip2latent_kedro.pipelines.evaluation.pictures import (
    draw_samples,
    show_samples,
)
from clip2latent_kedro.pipelines.evaluation.results import (
    show_claims,
    show_origin,
    show_scores,
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
from clip2latent_kedro.pipelines.studies import (
    add_priors,
    add_references,
    gather_models,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return prompts and models -> answers, seconds -> scores, figures, report."""
    models = {"models": "evaluation_models"}
    planned, rows = {"rows": "evaluation_rows_planned"}, {"rows": "evaluation_rows"}
    takes_time = [  # and is stored row by row
        wire(gather_models, "frozen_models"),
        wire(
            add_priors,
            "sampling_models",
            models="frozen_models",
            prior_best="prior_best_if_made",
            training_pairs="training_pairs_if_made",
        ),
        wire(add_references, "evaluation_models", models="sampling_models"),
        wire(embed_prompts, "queries", models="frozen_models"),
        wire(
            plan,
            ["evaluation_rows_planned", "evaluation_rows_lacking"],
            name="plan_rows",
            **models,
        ),
        wire(
            plan_images,
            "evaluation_images_planned",
            psi="params:data_generation.psi",
            **models,
        ),
        wire(
            answer_prompts,
            "answers",
            images="evaluation_images_planned",
            progress="answers_progress",
            **planned,
        ),
        wire(
            leave_out_failed,
            ["evaluation_rows", "evaluation_rows_left_out"],
            lacking="evaluation_rows_lacking",
            **planned,
        ),
        wire(
            time_methods, "timed_rows", progress="timed_rows_progress", **rows, **models
        ),
    ]
    scores = [
        wire(score_answers, "scores_by_prompt", **rows, **models),
        wire(measure_row_distances, "row_distances", **rows),
        wire(
            measure_gap, "modality_gap", name="measure_modality_gap", **rows, **models
        ),
        wire(collect_timings, "timings", timed="timed_rows", **rows),
        wire(
            summarise,
            "scores",
            name="summarise_scores",
            distances="row_distances",
            **rows,
            **models,
        ),
        wire(compare_rows, "score_differences"),
    ]
    reports = [
        wire(draw_samples, "samples_figure", **rows),
        wire(plot_scores, "scores_figure", **rows),
        wire(plot_tradeoffs, "tradeoffs_figure", **rows),
        wire(show_samples, "samples_section", **rows),
        wire(show_scores, "scores_section"),
        wire(show_claims, "claims_section", **rows),
        wire(show_origin, "origin_section", **rows, **models),
        wire(
            write_report,
            ["scores_report", "scores_table"],
            left_out="evaluation_rows_left_out",
            differences="score_differences",
        ),
    ]
    return Pipeline([*takes_time, *scores, *reports])
