"""Wiring of `ablation`."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.ablation.nodes import plan, prepare, run
from clip2latent_kedro.pipelines.ablation.results import (
    report_studies,
    tabulate,
    write_report,
)

PARAMETERS = {
    "sampling": "params:sampling",
    "data": "params:data",
    "network": "params:model.network",
    "diffusion": "params:model.diffusion",
    "train": "params:train",
}


def create_pipeline() -> Pipeline:
    """Return prior and pairs -> results of variants -> tables, figures, report."""
    return Pipeline(
        [
            Node(
                prepare,
                inputs={
                    "prompt_bank": "prompt_bank",
                    "generator": "generator",
                    "encoder": "encoder",
                    "held_out_encoder": "held_out_encoder",
                    "judge": "judge",
                    "prior": "prior",
                    "training_pairs": "training_pairs",
                    "data": "params:data",
                    "train": "params:train",
                    "evaluation": "params:evaluation",
                    "ablation": "params:ablation",
                    "num_validation_prompts": "params:validation.num_prompts",
                    "device": "params:device",
                },
                outputs="ablation_bench",
                name="prepare_ablation",
            ),
            Node(
                plan,
                inputs={
                    "bench": "ablation_bench",
                    **PARAMETERS,
                    "ablation": "params:ablation",
                    "seed": "params:seed",
                },
                outputs="ablation_variants",
                name="plan_ablation",
            ),
            Node(
                run,
                inputs={
                    "bench": "ablation_bench",
                    "variants": "ablation_variants",
                    "progress": "ablation_progress",
                    "ablation": "params:ablation",
                    "seed": "params:seed",
                    "resume": "params:resume",
                },
                outputs="ablation_results",
                name="run_ablation",
            ),
            Node(
                tabulate,
                inputs={
                    "results": "ablation_results",
                    "variants": "ablation_variants",
                    "bench": "ablation_bench",
                    "ablation": "params:ablation",
                },
                outputs="ablation_scores",
                name="tabulate_ablation",
            ),
            Node(
                report_studies,
                inputs={
                    "scores": "ablation_scores",
                    "results": "ablation_results",
                    "variants": "ablation_variants",
                    "bench": "ablation_bench",
                    "ablation": "params:ablation",
                },
                outputs="ablation_studies",
                name="report_studies",
            ),
            Node(
                write_report,
                inputs={
                    "studies": "ablation_studies",
                    "scores": "ablation_scores",
                    "results": "ablation_results",
                    "variants": "ablation_variants",
                    "bench": "ablation_bench",
                    **PARAMETERS,
                    "ablation": "params:ablation",
                    "seed": "params:seed",
                },
                outputs=["ablation_report", "ablation_table"],
                name="write_ablation_report",
            ),
        ]
    )
