"""Wiring of `inference`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.inference import describe_pictures
from clip2latent_kedro.pipelines.inference.nodes import (
    accept_prompts,
    collect,
    gather,
    generate,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return prompts and prior -> pictures -> grid, table."""
    return Pipeline(
        [
            wire(
                accept_prompts,
                ["inference_prompts", "inference_problems"],
                prompts_file="inference_prompts_file",
            ),
            wire(
                gather,
                "inference_model",
                name="gather_inference_model",
                prior="inference_prior",
                training_pairs="inference_bank",
            ),
            wire(
                describe_pictures,
                "inference_records",
                model="inference_model",
                prompts="inference_prompts",
                config="params:inference",
                pairs="inference_bank",
            ),
            wire(
                generate,
                "inference_pictures",
                name="draw_pictures",
                model="inference_model",
                records="inference_records",
                progress="inference_progress",
            ),
            wire(
                collect,
                ["inference_grid", "inference_table"],
                name="collect_pictures",
                pictures="inference_pictures",
                records="inference_records",
                problems="inference_problems",
            ),
        ]
    )
