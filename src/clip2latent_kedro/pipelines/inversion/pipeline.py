"""Wiring of `inversion`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.editing.inversion.pictures import describe_inversions
from clip2latent_kedro.pipelines.inversion.nodes import (
    accept_pictures,
    add_inverters,
    collect,
    draw_reconstructions,
    gather_inverting,
    invert,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return pictures -> latents -> reconstructions, grid, table."""
    config = {"config": "params:editing.inversion"}
    return Pipeline(
        [
            wire(
                accept_pictures,
                ["inversion_inputs", "inversion_problems"],
                inversion="params:inversion",
            ),
            wire(
                gather_inverting,
                "inversion_base_models",
                prior="inversion_prior",
                **config,
            ),
            wire(add_inverters, "inversion_models", models="inversion_base_models"),
            wire(
                describe_inversions,
                "inversion_records",
                pictures="inversion_inputs",
                models="inversion_models",
                **config,
            ),
            wire(
                invert,
                "inversion_latents",
                name="invert_pictures",
                models="inversion_models",
                records="inversion_records",
                progress="inversion_progress",
                **config,
            ),
            wire(
                draw_reconstructions,
                "inversion_pictures",
                latents="inversion_latents",
                records="inversion_records",
            ),
            wire(
                collect,
                ["inversion_grid", "inversion_table"],
                name="collect_inversions",
                latents="inversion_latents",
                records="inversion_records",
                problems="inversion_problems",
                **config,
            ),
        ]
    )
