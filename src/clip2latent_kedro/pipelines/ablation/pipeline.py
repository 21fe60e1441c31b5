"""Wiring of `ablation`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.ablation.nodes import plan, prepare, run
from clip2latent_kedro.pipelines.ablation.results import (
    report_studies,
    tabulate,
    write_report,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return prior and pairs -> results of variants -> tables, figures, report."""
    bench = {"bench": "ablation_bench"}
    variants = {"variants": "ablation_variants"}
    drawn = {"results": "ablation_results", **variants}
    return Pipeline(
        [
            wire(prepare, "ablation_bench", name="prepare_ablation"),
            wire(plan, "ablation_variants", name="plan_ablation", **bench),
            wire(
                run,
                "ablation_results",
                name="run_ablation",
                progress="ablation_progress",
                **bench,
                **variants,
            ),
            wire(
                tabulate,
                "ablation_scores",
                name="tabulate_ablation",
                **bench,
                **drawn,
            ),
            wire(
                report_studies,
                "ablation_studies",
                scores="ablation_scores",
                **bench,
                **drawn,
            ),
            wire(
                write_report,
                ["ablation_report", "ablation_table"],
                name="write_ablation_report",
                studies="ablation_studies",
                scores="ablation_scores",
                **bench,
            ),
        ]
    )
