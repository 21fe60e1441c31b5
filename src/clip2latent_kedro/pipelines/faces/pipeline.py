"""Wiring of `faces`."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.faces import nodes
from clip2latent_kedro.pipelines.faces.card import write_model_card
from clip2latent_kedro.pipelines.wiring import wire

_READ = {"readings": "faces_readings", "reading_config": "params:faces.readings"}


def create_pipeline() -> Pipeline:
    """Return the reading of samples, the training of both CLIPs and the prompts."""
    return Pipeline(
        [
            wire(
                nodes.read_samples,
                "faces_readings",
                generator="faces_generator",
                config="params:faces.readings",
                progress="faces_readings_progress",
            ),
            *_model("clip"),
            # It has other captions, in another order, and is of another kind.
            *_model("clip_held_out", stream="held_out_clip"),
            wire(
                nodes.choose_prompts,
                ["faces_prompts", "faces_prompt_bank"],
                name="choose_faces_prompts",
                num_prompts="params:faces.num_prompts",
                num_bank_prompts="params:faces.num_bank_prompts",
                **_READ,
            ),
            wire(
                nodes.measure_models,
                "faces_quality",
                name="measure_faces_models",
                clip="faces_clip@model",
                clip_held_out="faces_clip_held_out@model",
                clip_state="faces_clip_state",
                clip_held_out_state="faces_clip_held_out_state",
                **_READ,
            ),
            wire(
                write_model_card,
                "faces_card",
                name="write_faces_card",
                quality="faces_quality",
            ),
        ]
    )


def _model(name: str, *, stream: str = "") -> list[Node]:
    """Return the training of a CLIP and its export."""
    config = f"params:faces.{name}"
    return [
        wire(
            nodes.fit_by(name, stream=stream),
            f"faces_{name}_state",
            name=f"fit_faces_{name}",
            config=config,
            progress=f"faces_{name}_progress",
            **_READ,
        ),
        wire(
            nodes.ship_clip,
            f"faces_{name}@weights",
            name=f"ship_faces_{name}",
            state=f"faces_{name}_state",
            config=config,
        ),
    ]
