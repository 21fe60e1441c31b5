"""Wiring of `baselines`: one function a paper."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.baselines import clip2gan, lafite
from clip2latent_kedro.pipelines.training.nodes import measure_text_mean


def create_pipeline() -> Pipeline:
    """Return the training of every method of `baselines` that needs one."""
    return create_lafite_pipeline() + create_clip2gan_pipeline()


def create_lafite_pipeline() -> Pipeline:
    """Return generator, encoder, training_pairs -> lafite, and how good it is."""
    models = {"generator": "generator", "encoder": "encoder"}
    settings = {
        "data": "params:data",
        "config": "params:baselines.lafite",
        "seed": "params:seed",
    }
    return Pipeline(
        [
            Node(
                lafite.fit_lafite,
                inputs={
                    **models,
                    **settings,
                    "training_pairs": "training_pairs",
                    "device": "params:device",
                    "resume": "params:resume",
                    "progress": "lafite_progress",
                },
                outputs="lafite_state",
                name="fit_lafite",
            ),
            Node(
                lafite.ship_lafite,
                inputs={**models, **settings, "state": "lafite_state"},
                outputs="lafite_trained@weights",
                name="ship_lafite",
            ),
            Node(
                lafite.collect_lafite_history,
                inputs="lafite_state",
                outputs="lafite_history",
                name="collect_lafite_history",
            ),
            Node(
                lafite.measure_lafite,
                inputs={
                    "lafite": "lafite_trained@model",
                    "encoder": "encoder",
                    "judge": "judge",
                    "prompt_bank": "prompt_bank",
                    "data": "params:data",
                    "num_prompts": "params:baselines.num_prompts",
                    "num_samples": "params:baselines.num_samples",
                    "seed": "params:seed",
                    "device": "params:device",
                },
                outputs=["lafite_quality", "lafite_samples"],
                name="measure_lafite",
            ),
        ]
    )


def create_clip2gan_pipeline() -> Pipeline:
    """Return generator, encoder, training_pairs -> clip2gan, and how good it is."""
    learned_from = {
        "generator": "generator",
        "encoder": "encoder",
        "training_pairs": "training_pairs",
        "latent_statistics": "latent_statistics",
        "data": "params:data",
        "config": "params:baselines.clip2gan",
    }
    return Pipeline(
        [
            Node(
                clip2gan.fit_clip2gan,
                inputs={
                    **learned_from,
                    "seed": "params:seed",
                    "device": "params:device",
                    "resume": "params:resume",
                    "progress": "clip2gan_progress",
                },
                outputs="clip2gan_state",
                name="fit_clip2gan",
            ),
            Node(
                measure_text_mean,
                inputs=["prompt_bank", "encoder", "params:device"],
                outputs="clip2gan_text_mean",
                name="measure_clip2gan_text_mean",
            ),
            Node(
                clip2gan.ship_clip2gan,
                inputs={
                    **learned_from,
                    "state": "clip2gan_state",
                    "text_mean": "clip2gan_text_mean",
                },
                outputs="clip2gan_trained@weights",
                name="ship_clip2gan",
            ),
            Node(
                clip2gan.collect_clip2gan_history,
                inputs="clip2gan_state",
                outputs="clip2gan_history",
                name="collect_clip2gan_history",
            ),
            Node(
                clip2gan.measure_clip2gan,
                inputs={
                    "clip2gan": "clip2gan_trained@model",
                    "generator": "generator",
                    "encoder": "encoder",
                    "judge": "judge",
                    "prompt_bank": "prompt_bank",
                    "num_prompts": "params:baselines.num_prompts",
                    "device": "params:device",
                },
                outputs=["clip2gan_quality", "clip2gan_samples"],
                name="measure_clip2gan",
            ),
        ]
    )
