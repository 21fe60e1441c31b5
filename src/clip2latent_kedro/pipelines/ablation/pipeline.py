"""Wiring of `ablation`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.ablation.nodes import (
    gather_settings,
    prepare,
    read_texts,
)
from clip2latent_kedro.pipelines.ablation.results import (
    report_studies,
    tabulate,
    write_report,
)
from clip2latent_kedro.pipelines.studies import gather_models, run_variants
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return prior and pairs -> results of variants -> tables, figures, report."""
    setup, base = {"setup": "ablation_setup"}, {"base": "ablation_base"}
    variants = {"variants": "ablation_variants"}
    drawn = {"results": "ablation_results", **variants, **setup}
    return Pipeline(
        [
            wire(gather_models, "frozen_models"),
            wire(gather_settings, "ablation_base"),
            wire(
                read_texts,
                "ablation_texts",
                name="read_ablation_texts",
                models="frozen_models",
            ),
            wire(
                prepare,
                ["ablation_setup", "ablation_variants"],
                name="prepare_ablation",
                texts="ablation_texts",
                models="frozen_models",
                **base,
            ),
            wire(
                run_variants,
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
                **drawn,
                **base,
            ),
        ]
    )
