"""Wiring of `inference`."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.inference.nodes import accept_prompts, collect, draw


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
                draw,
                inputs={
                    "prompts": "inference_prompts",
                    "generator": "generator",
                    "encoder": "encoder",
                    "prior": "inference_prior",
                    "training_pairs": "inference_bank",
                    "progress": "inference_progress",
                    "data": "params:data",
                    "device": "params:device",
                    **settings,
                },
                outputs="inference_pictures",
                name="draw_pictures",
            ),
            Node(
                collect,
                inputs={
                    "pictures": "inference_pictures",
                    "prompts": "inference_prompts",
                    "problems": "inference_problems",
                    **settings,
                },
                outputs=["inference_grid", "inference_table"],
                name="collect_pictures",
            ),
        ]
    )
