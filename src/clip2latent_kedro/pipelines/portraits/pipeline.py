"""Wiring of `portraits`."""

from collections.abc import Callable

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.portraits import nodes
from clip2latent_kedro.pipelines.portraits.card import write_model_card
from clip2latent_kedro.pipelines.wiring import wire
from clip2latent_kedro.training import Task
from clip2latent_kedro.training.state import Weights
from clip2latent_kedro.worlds.portraits.clip import (
    clip_task,
    export_clip,
    finetune_task,
)
from clip2latent_kedro.worlds.portraits.generator import (
    export_generator,
    generator_task,
)
from clip2latent_kedro.worlds.portraits.judge import export_judge, judge_task
from clip2latent_kedro.worlds.portraits.quality import draw_comparison
from clip2latent_kedro.worlds.portraits.vae import export_vae, flow_task, vae_task

_TRAININGS = (
    *("judge", "clip", "clip_finetune", "generator", "clip_held_out"),
    *("vae", "vae_flow"),
)


def create_pipeline() -> Pipeline:
    """Return the training of judge, CLIP and generator, then their measurement."""
    return _training() + _finalising() + _measuring()


def _training() -> Pipeline:
    clip, vae = (f"params:portraits.{name}" for name in ("clip", "vae"))
    return Pipeline(
        [
            _fit("judge", judge_task),
            _fit("clip", clip_task),
            _fit("clip_finetune", finetune_task, "portraits_clip_state", clip),
            # It shares no picture and no caption with the other.
            _fit("clip_held_out", clip_task, stream="held_out_clip"),
            _fit("generator", generator_task),
            _fit("vae", vae_task),
            _fit("vae_flow", flow_task, "portraits_vae_state", vae),
        ]
    )


def _fit(name: str, task: Callable[..., Task], *given: str, stream: str = "") -> Node:
    return Node(
        nodes.fit_by(task, name, stream=stream),
        [
            f"params:portraits.{name}",
            "params:seed",
            "params:device",
            "params:resume",
            f"portraits_{name}_progress",
            *given,
        ],
        f"portraits_{name}_state",
        name=f"fit_{name}",
    )


def _finalising() -> Pipeline:
    return Pipeline(
        [
            _finalise("judge@weights", export_judge, judge="judge"),
            _finalise("clip@weights", export_clip, clip_finetune="clip"),
            _finalise(
                "clip_held_out@weights", export_clip, clip_held_out="clip_held_out"
            ),
            _finalise("generator@weights", export_generator, generator="generator"),
            _finalise("vae_weights", export_vae, vae="vae", vae_flow="vae_flow"),
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


def _finalise(entry: str, export: Callable[..., Weights], **trainings: str) -> Node:
    """Return a node that exports the last states of trainings with settings of theirs.

    Args:
        entry: The catalog entry, without `portraits_`.
        export: (states, settings) -> weights.
        trainings: Settings that each is exported with.
    """
    states = [f"portraits_{name}_state" for name in trainings]
    settings = [f"params:portraits.{name}" for name in trainings.values()]
    name = entry.removesuffix("@weights").removesuffix("_weights")
    return Node(
        nodes.ship_by(export),
        states + settings,
        f"portraits_{entry}",
        name=f"ship_{name}",
    )


def _measuring() -> Pipeline:
    generator = {"generator": "portraits_generator@model"}
    judge = {"judge": "portraits_judge@model"}
    num = {"num": "params:portraits.num_measured"}
    return Pipeline(
        [
            Node(
                nodes.collect_seconds,
                {name: f"portraits_{name}_state" for name in _TRAININGS},
                "portraits_training_seconds",
                name="collect_training_seconds",
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
            wire(draw_comparison, "portraits_comparison", **generator),
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
                nodes.measure_clip,
                "portraits_clip_held_out_quality",
                name="measure_held_out_clip",
                encoder="portraits_clip_held_out@model",
            ),
            wire(
                write_model_card,
                "portraits_card",
                quality="portraits_quality",
                held_out_quality="portraits_clip_held_out_quality",
                vae_quality="portraits_vae_quality",
            ),
        ]
    )
