"""Wiring of `sweep`, and of what it has in common with `tuning`."""

from collections.abc import Callable
from typing import Any

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
    write_report,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return prompt_bank and priors -> results of variants -> report, best."""
    return wire_trials("sweep", "sampling_models", choose, "choose_best_variant")


def wire_trials(
    name: str, models: str, choose: Callable[..., Any], choice: str
) -> Pipeline:
    """Return prompt_bank and models -> results of variants -> table, figure, best.

    Args:
        name: Of the parameters that say what is tried, and how catalog entries begin.
        models: The entry that is tried with.
        choose: The node that names the best.
        choice: Name of that node.
    """
    given = {"models": models, "sweep": f"params:{name}"}
    variants = {"variants": f"{name}_variants"}
    results = {"results": f"{name}_results", **variants, "sweep": given["sweep"]}
    scores = {"sweep_scores": f"{name}_scores"}
    return Pipeline(
        [
            wire(gather_models, "frozen_models"),
            wire(
                add_priors,
                "sampling_models",
                models="frozen_models",
                student="student_if_made",
            ),
            wire(plan, f"{name}_variants", name=f"plan_{name}", **given),
            wire(
                run_variants,
                f"{name}_results",
                name=f"run_{name}",
                progress=f"{name}_progress",
                **variants,
            ),
            wire(
                tabulate,
                f"{name}_scores",
                name=f"tabulate_{name}",
                models=models,
                **results,
            ),
            wire(plot, f"{name}_figure", name=f"plot_{name}", **variants, **scores),
            wire(
                plot_tradeoffs,
                f"{name}_tradeoffs",
                name=f"plot_{name}_tradeoffs",
                **scores,
            ),
            wire(choose, [f"{name}_best", f"{name}_choice"], name=choice, **results),
            wire(
                write_report,
                [f"{name}_report", f"{name}_table"],
                name=f"write_{name}_report",
                best=f"{name}_best",
                choice=f"{name}_choice",
                **variants,
                **scores,
                **given,
            ),
        ]
    )
