"""Wiring of `ablation`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.ablation.nodes import (
    gather_settings,
    plan,
    prepare,
    run,
)
from clip2latent_kedro.pipelines.ablation.results import (
    report_studies,
    tabulate,
    write_report,
)
from clip2latent_kedro.pipelines.gathering import gather_models
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return prior and pairs -> results of variants -> tables, figures, report."""
    bench, base = {"bench": "ablation_bench"}, {"base": "ablation_base"}
    variants = {"variants": "ablation_variants"}
    drawn = {"results": "ablation_results", **variants, **bench}
    return Pipeline(
        [
            wire(gather_models, "frozen_models"),
            wire(gather_settings, "ablation_base"),
            wire(
                prepare,
                "ablation_bench",
                name="prepare_ablation",
                models="frozen_models",
                **base,
            ),
            wire(plan, "ablation_variants", name="plan_ablation", **bench, **base),
            wire(
                run,
                "ablation_results",
                name="run_ablation",
                progress="ablation_progress",
                **variants,
            ),
            wire(tabulate, "ablation_scores", name="tabulate_ablation", **drawn),
            wire(report_studies, "ablation_studies", scores="ablation_scores", **drawn),
            wire(
                write_report,
                ["ablation_report", "ablation_table"],
                name="write_ablation_report",
                studies="ablation_studies",
                scores="ablation_scores",
                **bench,
                **base,
            ),
        ]
    )
