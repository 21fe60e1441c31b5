"""Wiring of `sweep`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.studies import (
    add_priors,
    gather_models,
    run_variants,
)
from clip2latent_kedro.pipelines.sweep.choices import choose
from clip2latent_kedro.pipelines.sweep.nodes import plan
from clip2latent_kedro.pipelines.sweep.results import (
    plot,
    plot_tradeoffs,
    tabulate,
    write_table,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return prompt_bank and priors -> results of variants -> table, figure, best."""
    models, variants = {"models": "sampling_models"}, {"variants": "sweep_variants"}
    results = {"results": "sweep_results", **variants}
    return Pipeline(
        [
            wire(gather_models, "frozen_models"),
            wire(
                add_priors,
                "sampling_models",
                models="frozen_models",
                student="student_if_made",
            ),
            wire(plan, "sweep_variants", name="plan_sweep", **models),
            wire(
                run_variants,
                "sweep_results",
                name="run_sweep",
                progress="sweep_progress",
                **variants,
            ),
            wire(tabulate, "sweep_scores", name="tabulate_sweep", **models, **results),
            wire(write_table, "sweep_table", name="write_sweep_table"),
            wire(plot, "sweep_figure", name="plot_sweep", **variants),
            wire(plot_tradeoffs, "sweep_tradeoffs", name="plot_sweep_tradeoffs"),
            wire(
                choose,
                ["sweep_best", "sweep_choice"],
                name="choose_best_variant",
                **results,
            ),
        ]
    )
