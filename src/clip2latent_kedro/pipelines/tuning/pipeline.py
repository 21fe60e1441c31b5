"""Wiring of `tuning`: the sweep's nodes, with a best of each method."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.studies import (
    add_priors,
    add_references,
    gather_models,
    run_variants,
)
from clip2latent_kedro.pipelines.sweep.choices import choose_each
from clip2latent_kedro.pipelines.sweep.nodes import plan
from clip2latent_kedro.pipelines.sweep.results import (
    plot,
    plot_tradeoffs,
    tabulate,
    write_table,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return prompt_bank and models -> results of variants -> table, figure, best."""
    models, variants = {"models": "tuned_models"}, {"variants": "tuning_variants"}
    config = {"sweep": "params:tuning"}
    results = {"results": "tuning_results", **variants, **config}
    scores = {"sweep_scores": "tuning_scores"}
    return Pipeline(
        [
            wire(gather_models, "frozen_models"),
            wire(
                add_priors,
                "sampling_models",
                models="frozen_models",
                student="student_if_made",
            ),
            wire(add_references, "tuned_models", models="sampling_models"),
            wire(plan, "tuning_variants", name="plan_tuning", **models, **config),
            wire(
                run_variants,
                "tuning_results",
                name="run_tuning",
                progress="tuning_progress",
                **variants,
            ),
            wire(
                tabulate, "tuning_scores", name="tabulate_tuning", **models, **results
            ),
            wire(write_table, "tuning_table", name="write_tuning_table", **scores),
            wire(plot, "tuning_figure", name="plot_tuning", **variants, **scores),
            wire(
                plot_tradeoffs,
                "tuning_tradeoffs",
                name="plot_tuning_tradeoffs",
                **scores,
            ),
            wire(
                choose_each,
                ["tuning_best", "tuning_choice"],
                name="choose_best_settings",
                **results,
            ),
        ]
    )
