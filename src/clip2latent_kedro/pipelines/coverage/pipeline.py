"""Wiring of `coverage`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.coverage.nodes import (
    add_judge,
    draw_nearest,
    measure,
    plan,
    read_demands,
)
from clip2latent_kedro.pipelines.coverage.results import (
    draw_pictures,
    plot,
    tabulate,
    write_report,
)
from clip2latent_kedro.pipelines.studies import gather_models, run_variants
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return generator and prompts -> images, counted -> tables, figures, report."""
    models = {"models": "coverage_models"}
    asked, drawn = {"queries": "coverage_queries"}, {"variants": "coverage_variants"}
    found = {"found": "coverage_found"}
    pairs = {"psi": "params:data_generation.psi"}
    return Pipeline(
        [
            wire(gather_models, "frozen_models"),
            wire(add_judge, "coverage_models", models="frozen_models"),
            wire(read_demands, "coverage_queries", **models),
            wire(
                plan,
                "coverage_variants",
                name="plan_coverage",
                **models,
                **asked,
                **pairs,
            ),
            wire(
                run_variants,
                "coverage_samples",
                name="draw_coverage",
                progress="coverage_progress",
                **drawn,
            ),
            wire(
                draw_nearest,
                "coverage_nearest",
                name="draw_nearest_images",
                samples="coverage_samples",
                **models,
                **asked,
                **drawn,
                **pairs,
            ),
            wire(
                measure,
                "coverage_found",
                name="measure_coverage",
                nearest="coverage_nearest",
                samples="coverage_samples",
                answers="answers_progress",
                **models,
                **asked,
                **drawn,
            ),
            wire(
                tabulate,
                ["coverage_demands", "coverage_prompts"],
                name="tabulate_coverage",
                **found,
            ),
            wire(plot, "coverage_map", name="plot_coverage", **found, **models),
            wire(draw_pictures, "coverage_pictures", name="show_nearest", **found),
            wire(
                write_report,
                ["coverage_report", "coverage_table"],
                name="write_coverage_report",
                pair_map="coverage_map",
                **found,
                **models,
                **pairs,
            ),
        ]
    )
