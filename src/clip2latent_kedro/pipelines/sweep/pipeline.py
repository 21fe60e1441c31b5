"""Wiring of `sweep`."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.sweep.nodes import gather_models, plan, run
from clip2latent_kedro.pipelines.sweep.results import (
    choose,
    plot,
    tabulate,
    write_table,
)


def create_pipeline() -> Pipeline:
    """Return prompt_bank and priors -> results of variants -> table, figure, best."""
    return Pipeline(
        [
            Node(
                gather_models,
                inputs={
                    "generator": "generator",
                    "encoder": "encoder",
                    "judge": "judge",
                    "prior": "prior",
                    "prior_best": "prior_best",
                    "student": "student_if_made",
                    "training_pairs": "training_pairs",
                    "data": "params:data",
                    "device": "params:device",
                },
                outputs="sweep_models",
                name="gather_sweep_models",
            ),
            Node(
                plan,
                inputs={
                    "prompt_bank": "prompt_bank",
                    "models": "sweep_models",
                    "data": "params:data",
                    "sampling": "params:sampling",
                    "evaluation": "params:evaluation",
                    "sweep": "params:sweep",
                    "num_validation_prompts": "params:validation.num_prompts",
                    "seed": "params:seed",
                },
                outputs=["sweep_queries", "sweep_trials"],
                name="plan_sweep",
            ),
            Node(
                run,
                inputs={
                    "queries": "sweep_queries",
                    "trials": "sweep_trials",
                    "models": "sweep_models",
                    "progress": "sweep_progress",
                    "data": "params:data",
                    "evaluation": "params:evaluation",
                    "sweep": "params:sweep",
                    "seed": "params:seed",
                    "device": "params:device",
                    "resume": "params:resume",
                },
                outputs="sweep_results",
                name="run_sweep",
            ),
            Node(
                tabulate,
                inputs={
                    "results": "sweep_results",
                    "trials": "sweep_trials",
                    "models": "sweep_models",
                    "evaluation": "params:evaluation",
                    "sweep": "params:sweep",
                    "seed": "params:seed",
                },
                outputs="sweep_scores",
                name="tabulate_sweep",
            ),
            Node(
                write_table,
                inputs="sweep_scores",
                outputs="sweep_table",
                name="write_sweep_table",
            ),
            Node(
                plot,
                inputs=["sweep_scores", "sweep_trials"],
                outputs="sweep_figure",
                name="plot_sweep",
            ),
            Node(
                choose,
                inputs={
                    "results": "sweep_results",
                    "trials": "sweep_trials",
                    "sampling": "params:sampling",
                    "sweep": "params:sweep",
                    "evaluation": "params:evaluation",
                    "seed": "params:seed",
                },
                outputs="sweep_best",
                name="choose_best_variant",
            ),
        ]
    )
