"""Wiring of `inference`."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.inference.nodes import (
    accept_prompts,
    collect,
    draw,
    gather,
)


def create_pipeline() -> Pipeline:
    """Return prompts and prior -> pictures -> grid, table."""
    settings = {
        "sampling": "params:sampling",
        "inference": "params:inference",
        "seed": "params:seed",
    }
    return Pipeline(
        [
            Node(
                accept_prompts,
                inputs={
                    "prompts_file": "inference_prompts_file",
                    "encoder": "encoder",
                    "inference": "params:inference",
                    "device": "params:device",
                },
                outputs=["inference_prompts", "inference_problems"],
                name="accept_prompts",
            ),
            Node(
                gather,
                inputs={
                    "prompts": "inference_prompts",
                    "generator": "generator",
                    "encoder": "encoder",
                    "prior": "inference_prior",
                    "training_pairs": "inference_bank",
                    "data": "params:data",
                    "device": "params:device",
                    **settings,
                },
                outputs=["inference_model", "inference_records"],
                name="gather_inference_model",
            ),
            Node(
                draw,
                inputs={
                    "model": "inference_model",
                    "records": "inference_records",
                    "progress": "inference_progress",
                    "resume": "params:resume",
                    **settings,
                },
                outputs="inference_pictures",
                name="draw_pictures",
            ),
            Node(
                collect,
                inputs={
                    "pictures": "inference_pictures",
                    "records": "inference_records",
                    "problems": "inference_problems",
                    "seed": "params:seed",
                },
                outputs=["inference_grid", "inference_table"],
                name="collect_pictures",
            ),
        ]
    )
