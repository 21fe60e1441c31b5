"""Wiring of `portraits`."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.portraits import nodes

_MODELS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "judge": (nodes.fit_judge, nodes.ship_judge),
    "clip": (nodes.fit_clip, nodes.ship_clip),
    "generator": (nodes.fit_generator, nodes.ship_generator),
}


def create_pipeline() -> Pipeline:
    """Return the training of judge, CLIP and generator, then their measurement."""
    training = [
        node
        for name, (fit, ship) in _MODELS.items()
        for node in (
            Node(
                fit,
                inputs={
                    "config": f"params:portraits.{name}",
                    "seed": "params:seed",
                    "device": "params:device",
                    "resume": "params:resume",
                    "progress": f"portraits_{name}_progress",
                },
                outputs=f"portraits_{name}_state",
                name=f"fit_{name}",
            ),
            Node(
                ship,
                inputs=[f"portraits_{name}_state", f"params:portraits.{name}"],
                outputs=f"portraits_{name}@weights",
                name=f"ship_{name}",
            ),
        )
    ]
    return Pipeline(
        [
            *training,
            Node(
                nodes.choose_prompts,
                inputs=[
                    "params:portraits.num_prompts",
                    "params:portraits.num_references",
                    "params:seed",
                ],
                outputs=["portraits_prompts", "portraits_references"],
                name="choose_prompts",
            ),
            Node(
                nodes.collect_seconds,
                inputs=[f"portraits_{name}_state" for name in _MODELS],
                outputs="portraits_training_seconds",
                name="collect_training_seconds",
            ),
            Node(
                nodes.measure_models,
                inputs=[
                    "portraits_judge@model",
                    "portraits_clip@model",
                    "portraits_generator@model",
                    "portraits_training_seconds",
                    "params:portraits.num_measured",
                    "params:seed",
                ],
                outputs="portraits_quality",
                name="measure_portraits_models",
            ),
            Node(
                nodes.draw_comparison,
                inputs=["portraits_generator@model", "params:seed"],
                outputs="portraits_comparison",
                name="draw_comparison",
            ),
            Node(
                nodes.write_model_card,
                inputs="portraits_quality",
                outputs="portraits_card",
                name="write_model_card",
            ),
        ]
    )
