"""Wiring of `portraits`."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.portraits import nodes

_TRAININGS = (
    *("judge", "clip", "clip_finetune", "generator"),
    *("clip_held_out", "vae", "vae_flow"),
)


def create_pipeline() -> Pipeline:
    """Return the training of judge, CLIP and generator, then their measurement."""
    first_training = {
        "trained": "portraits_clip_state",
        "architecture": "params:portraits.clip",
    }
    vae = {"trained": "portraits_vae_state", "architecture": "params:portraits.vae"}
    return Pipeline(
        [
            _fit("judge", nodes.fit_judge),
            _fit("clip", nodes.fit_clip),
            _fit("clip_finetune", nodes.fit_clip_closer, first_training),
            _fit("clip_held_out", nodes.fit_held_out_clip),
            _fit("generator", nodes.fit_generator),
            _fit("vae", nodes.fit_vae),
            _fit("vae_flow", nodes.fit_vae_flow, vae),
            _ship("judge", nodes.ship_judge, training="judge"),
            _ship("clip", nodes.ship_clip, training="clip_finetune"),
            _ship("clip_held_out", nodes.ship_clip, training="clip_held_out"),
            _ship("generator", nodes.ship_generator, training="generator"),
            Node(
                nodes.ship_vae,
                inputs=[
                    "portraits_vae_state",
                    "params:portraits.vae",
                    "portraits_vae_flow_state",
                    "params:portraits.vae_flow",
                ],
                outputs="portraits_vae_weights",
                name="ship_vae",
            ),
            Node(
                nodes.choose_prompts,
                inputs=[
                    "params:portraits.num_prompts",
                    "params:portraits.num_references",
                    "params:seed",
                ],
                outputs=[
                    "portraits_prompts",
                    "portraits_references",
                    "portraits_reference_z",
                ],
                name="choose_prompts",
            ),
            Node(
                nodes.fill_prompt_bank,
                inputs=[
                    "portraits_prompts",
                    "params:portraits.num_bank_prompts",
                    "params:seed",
                ],
                outputs="portraits_prompt_bank",
                name="fill_prompt_bank",
            ),
            Node(
                nodes.collect_seconds,
                inputs=[f"portraits_{name}_state" for name in _TRAININGS],
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
                nodes.measure_autoencoder,
                inputs=[
                    "portraits_vae_state",
                    "params:portraits.vae",
                    "portraits_judge@model",
                    "params:portraits.num_measured",
                    "params:seed",
                ],
                outputs="portraits_vae_quality",
                name="measure_portraits_vae",
            ),
            Node(
                nodes.measure_held_out_clip,
                inputs=["portraits_clip_held_out@model", "params:seed"],
                outputs="portraits_clip_held_out_quality",
                name="measure_held_out_clip",
            ),
            Node(
                nodes.write_model_card,
                inputs=[
                    "portraits_quality",
                    "portraits_clip_held_out_quality",
                    "portraits_vae_quality",
                ],
                outputs="portraits_card",
                name="write_model_card",
            ),
        ]
    )


def _fit(
    name: str, fit: Callable[..., Any], more: dict[str, str] | None = None
) -> Node:
    inputs = {
        "config": f"params:portraits.{name}",
        "seed": "params:seed",
        "device": "params:device",
        "resume": "params:resume",
        "progress": f"portraits_{name}_progress",
    }
    return Node(
        fit,
        inputs=inputs | (more or {}),
        outputs=f"portraits_{name}_state",
        name=f"fit_{name}",
    )


def _ship(name: str, ship: Callable[..., Any], *, training: str) -> Node:
    return Node(
        ship,
        inputs=[f"portraits_{training}_state", f"params:portraits.{name}"],
        outputs=f"portraits_{name}@weights",
        name=f"ship_{name}",
    )
