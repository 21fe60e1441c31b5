"""Wiring of `baselines`: one function a paper."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.baselines import nodes
from clip2latent_kedro.pipelines.training.nodes import (
    gather_training_models,
    measure_text_mean,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return the training of every method of `baselines` that needs one."""
    abstract = create_clip2gan_pipeline("clip2gan_abstract")
    return create_lafite_pipeline() + create_clip2gan_pipeline() + abstract


def _gather_models() -> Node:
    return wire(gather_training_models, "baseline_models", name="gather_models")


def create_lafite_pipeline() -> Pipeline:
    """Return generator, encoder, training_pairs -> lafite, and how good it is."""
    config = {"config": "params:baselines.lafite"}
    state = {"state": "lafite_state"}
    models = {"models": "baseline_models"}
    return Pipeline(
        [
            _gather_models(),
            wire(
                nodes.fit_lafite,
                "lafite_state",
                progress="lafite_progress",
                **config,
                **models,
            ),
            wire(
                nodes.finalise_lafite,
                ["lafite_trained@weights", "lafite_training"],
                name="ship_lafite",
                **config,
                **state,
                **models,
            ),
            wire(
                nodes.collect_history,
                "lafite_history",
                name="collect_lafite_history",
                **state,
            ),
            wire(
                nodes.measure_lafite,
                ["lafite_quality", "lafite_samples"],
                lafite="lafite_trained@model",
                num_prompts="params:baselines.num_prompts",
                num_samples="params:baselines.num_samples",
                **models,
            ),
        ]
    )


def create_clip2gan_pipeline(name: str = "clip2gan") -> Pipeline:
    """Return generator, encoder, training_pairs -> clip2gan, and how good it is.

    Args:
        name: Of the entries and of the parameters: `clip2gan`, or `clip2gan_abstract`
            for the one that is trained as its abstract tells it.
    """
    config = {"config": f"params:baselines.{name}"}
    state = {"state": f"{name}_state"}
    models = {"models": "baseline_models"}
    return Pipeline(
        [
            _gather_models(),
            wire(
                nodes.fit_clip2gan,
                f"{name}_state",
                name=f"fit_{name}",
                progress=f"{name}_progress",
                **config,
                **models,
            ),
            wire(
                measure_text_mean,
                f"{name}_text_mean",
                name=f"measure_{name}_text_mean",
            ),
            wire(
                nodes.finalise_clip2gan,
                [f"{name}_trained@weights", f"{name}_training"],
                name=f"ship_{name}",
                text_mean=f"{name}_text_mean",
                **config,
                **state,
                **models,
            ),
            wire(
                nodes.collect_history,
                f"{name}_history",
                name=f"collect_{name}_history",
                **state,
            ),
            wire(
                nodes.measure_clip2gan,
                [f"{name}_quality", f"{name}_samples"],
                name=f"measure_{name}",
                clip2gan=f"{name}_trained@model",
                num_prompts="params:baselines.num_prompts",
                **models,
            ),
        ]
    )
