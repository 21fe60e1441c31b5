"""Wiring of `sweep`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.sweep.nodes import gather_models, plan, run
from clip2latent_kedro.pipelines.sweep.results import (
    choose,
    plot,
    tabulate,
    write_table,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return prompt_bank and priors -> results of variants -> table, figure, best."""
    return Pipeline(
        [
            wire(
                gather_models,
                "sweep_models",
                name="gather_sweep_models",
                student="student_if_made",
            ),
            wire(
                plan,
                ["sweep_queries", "sweep_trials"],
                name="plan_sweep",
                models="sweep_models",
            ),
            wire(
                run,
                "sweep_results",
                name="run_sweep",
                queries="sweep_queries",
                trials="sweep_trials",
                models="sweep_models",
                progress="sweep_progress",
            ),
            wire(
                tabulate,
                "sweep_scores",
                name="tabulate_sweep",
                results="sweep_results",
                trials="sweep_trials",
                models="sweep_models",
            ),
            wire(write_table, "sweep_table", name="write_sweep_table"),
            wire(plot, "sweep_figure", name="plot_sweep", trials="sweep_trials"),
            wire(
                choose,
                "sweep_best",
                name="choose_best_variant",
                results="sweep_results",
                trials="sweep_trials",
            ),
        ]
    )
