"""Wiring of `inference`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.inference import describe_pictures
from clip2latent_kedro.pipelines.editing_models import gather_editing_models
from clip2latent_kedro.pipelines.inference.nodes import (
    accept_prompts,
    collect,
    gather,
    generate,
    name_models,
    read_changes,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return prompts, prior and edits -> pictures -> grid, table."""
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
                name_models,
                "inference_base_models",
                name="name_inference_models",
                model="inference_model",
            ),
            wire(
                gather_editing_models,
                "inference_editing_models",
                name="gather_inference_editing_models",
                models="inference_base_models",
            ),
            wire(
                read_changes,
                "inference_changes",
                model="inference_model",
                models="inference_editing_models",
                inversion="params:editing.inversion",
                targets="params:editing.targets",
                neutral="params:editing.neutral",
            ),
            wire(
                describe_pictures,
                "inference_records",
                model="inference_model",
                prompts="inference_prompts",
                config="params:inference",
                pairs="inference_bank",
                changes="inference_changes",
            ),
            wire(
                generate,
                "inference_pictures",
                name="draw_pictures",
                model="inference_model",
                records="inference_records",
                progress="inference_progress",
                changes="inference_changes",
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
