"""Wiring of `baselines`: one function a paper."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.baselines import nodes
from clip2latent_kedro.pipelines.training.nodes import measure_text_mean
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return the training of every method of `baselines` that needs one."""
    return create_lafite_pipeline() + create_clip2gan_pipeline()


def create_lafite_pipeline() -> Pipeline:
    """Return generator, encoder, training_pairs -> lafite, and how good it is."""
    config = {"config": "params:baselines.lafite"}
    state = {"state": "lafite_state"}
    return Pipeline(
        [
            wire(
                nodes.fit_lafite, "lafite_state", progress="lafite_progress", **config
            ),
            wire(
                nodes.finalise_lafite,
                ["lafite_trained@weights", "lafite_training"],
                name="ship_lafite",
                **config,
                **state,
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
            ),
        ]
    )


def create_clip2gan_pipeline() -> Pipeline:
    """Return generator, encoder, training_pairs -> clip2gan, and how good it is."""
    config = {"config": "params:baselines.clip2gan"}
    state = {"state": "clip2gan_state"}
    return Pipeline(
        [
            wire(
                nodes.fit_clip2gan,
                "clip2gan_state",
                progress="clip2gan_progress",
                **config,
            ),
            wire(
                measure_text_mean,
                "clip2gan_text_mean",
                name="measure_clip2gan_text_mean",
            ),
            wire(
                nodes.finalise_clip2gan,
                ["clip2gan_trained@weights", "clip2gan_training"],
                name="ship_clip2gan",
                text_mean="clip2gan_text_mean",
                **config,
                **state,
            ),
            wire(
                nodes.collect_history,
                "clip2gan_history",
                name="collect_clip2gan_history",
                **state,
            ),
            wire(
                nodes.measure_clip2gan,
                ["clip2gan_quality", "clip2gan_samples"],
                clip2gan="clip2gan_trained@model",
                num_prompts="params:baselines.num_prompts",
            ),
        ]
    )
