"""Wiring of `editing`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.editing import mappers, relevance
from clip2latent_kedro.pipelines.editing.nodes import (
    choose,
    plan,
)
from clip2latent_kedro.pipelines.editing.results import (
    plot_curves,
    tabulate,
    write_report,
)
from clip2latent_kedro.pipelines.editing.strips import draw_strips, show_strips
from clip2latent_kedro.pipelines.editing_models import gather_editing_models
from clip2latent_kedro.pipelines.studies import (
    add_priors,
    gather_models,
    run_variants,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return what edits are prepared with, and the audit of them all."""
    prepared = relevance.create_pipeline() + mappers.create_mappers_pipeline()
    return prepared + create_audit_pipeline()


def create_audit_pipeline() -> Pipeline:
    """Return models, targets -> edits at all strengths -> tables, pictures, report."""
    audit, choices = {"audit": "edit_audit"}, {"choices": "edit_choices"}
    reported = {"variants": "edit_variants", "results": "edits"}
    models = [
        wire(gather_models, "frozen_models"),
        wire(
            add_priors,
            "sampling_models",
            models="frozen_models",
            prior_best="prior_best_if_made",
            student="student_if_made",
            training_pairs="training_pairs_if_made",
        ),
        wire(gather_editing_models, "editing_models", models="sampling_models"),
    ]
    edits = [
        wire(
            plan,
            ["edit_audit", "edit_tuning_variants"],
            name="plan_audit",
            models="editing_models",
            targets="params:editing.targets",
            audit="params:editing.audit",
        ),
        wire(
            run_variants,
            "edit_tuning",
            name="try_settings",
            variants="edit_tuning_variants",
            progress="edit_tuning_progress",
        ),
        wire(
            choose,
            ["edit_choices", "edit_variants"],
            name="choose_settings",
            variants="edit_tuning_variants",
            results="edit_tuning",
            **audit,
        ),
        wire(
            run_variants,
            "edits",
            name="run_audit",
            variants="edit_variants",
            progress="edits_progress",
        ),
    ]
    reports = [
        wire(
            tabulate,
            ["edit_scores", "edit_summary", "edit_differences"],
            name="tabulate_edits",
            **audit,
            **choices,
            **reported,
        ),
        wire(plot_curves, "edit_curves", name="plot_edit_curves", **audit),
        wire(
            draw_strips,
            ["edit_samples", "edit_strips"],
            name="draw_edit_strips",
            **audit,
            **choices,
            **reported,
        ),
        wire(
            show_strips,
            "edit_pictures",
            name="show_edit_strips",
            **audit,
            **choices,
            **reported,
        ),
        wire(
            write_report,
            ["edit_report", "edit_table"],
            name="write_edit_report",
            curves="edit_curves",
            strips="edit_pictures",
            **audit,
        ),
    ]
    return Pipeline([*models, *edits, *reports])
