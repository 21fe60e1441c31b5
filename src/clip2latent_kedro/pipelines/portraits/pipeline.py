"""Wiring of `portraits`."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.portraits import nodes
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return the training of judge, CLIP and generator, then their measurement."""
    return _training() + _shipping() + _measuring()


def _training() -> Pipeline:
    return Pipeline(
        [
            _fit("judge", nodes.fit_judge),
            _fit("clip", nodes.fit_clip),
            _fit(
                "clip_finetune",
                nodes.fit_clip_closer,
                trained="portraits_clip_state",
                architecture="params:portraits.clip",
            ),
            _fit("clip_held_out", nodes.fit_held_out_clip),
            _fit("generator", nodes.fit_generator),
            _fit("vae", nodes.fit_vae),
            _fit(
                "vae_flow",
                nodes.fit_vae_flow,
                trained="portraits_vae_state",
                architecture="params:portraits.vae",
            ),
        ]
    )


def _shipping() -> Pipeline:
    return Pipeline(
        [
            _ship("judge", nodes.ship_judge, training="judge"),
            _ship("clip", nodes.ship_clip, training="clip_finetune"),
            _ship("clip_held_out", nodes.ship_clip, training="clip_held_out"),
            _ship("generator", nodes.ship_generator, training="generator"),
            wire(
                nodes.ship_vae,
                "portraits_vae_weights",
                state="portraits_vae_state",
                architecture="params:portraits.vae",
                flow_state="portraits_vae_flow_state",
                flow="params:portraits.vae_flow",
            ),
            wire(
                nodes.choose_prompts,
                ["portraits_prompts", "portraits_references", "portraits_reference_z"],
                num_prompts="params:portraits.num_prompts",
                num_references="params:portraits.num_references",
            ),
            wire(
                nodes.fill_prompt_bank,
                "portraits_prompt_bank",
                prompts="portraits_prompts",
                num_bank_prompts="params:portraits.num_bank_prompts",
            ),
        ]
    )


def _measuring() -> Pipeline:
    generator = {"generator": "portraits_generator@model"}
    judge = {"judge": "portraits_judge@model"}
    num = {"num": "params:portraits.num_measured"}
    return Pipeline(
        [
            wire(
                nodes.collect_seconds,
                "portraits_training_seconds",
                name="collect_training_seconds",
                judge="portraits_judge_state",
                clip="portraits_clip_state",
                clip_finetune="portraits_clip_finetune_state",
                generator="portraits_generator_state",
                clip_held_out="portraits_clip_held_out_state",
                vae="portraits_vae_state",
                vae_flow="portraits_vae_flow_state",
            ),
            wire(
                nodes.measure_models,
                "portraits_quality",
                name="measure_portraits_models",
                encoder="portraits_clip@model",
                states="portraits_training_seconds",
                **judge,
                **generator,
                **num,
            ),
            wire(nodes.draw_comparison, "portraits_comparison", **generator),
            wire(
                nodes.measure_autoencoder,
                "portraits_vae_quality",
                name="measure_portraits_vae",
                state="portraits_vae_state",
                architecture="params:portraits.vae",
                **judge,
                **num,
            ),
            wire(
                nodes.measure_held_out_clip,
                "portraits_clip_held_out_quality",
                encoder="portraits_clip_held_out@model",
            ),
            wire(
                nodes.write_model_card,
                "portraits_card",
                quality="portraits_quality",
                held_out_quality="portraits_clip_held_out_quality",
                vae_quality="portraits_vae_quality",
            ),
        ]
    )


def _fit(name: str, fit: Callable[..., Any], **renames: str) -> Node:
    return wire(
        fit,
        f"portraits_{name}_state",
        name=f"fit_{name}",
        config=f"params:portraits.{name}",
        progress=f"portraits_{name}_progress",
        **renames,
    )


def _ship(name: str, ship: Callable[..., Any], *, training: str) -> Node:
    return wire(
        ship,
        f"portraits_{name}@weights",
        name=f"ship_{name}",
        state=f"portraits_{training}_state",
        config=f"params:portraits.{name}",
    )
