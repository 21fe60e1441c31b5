"""Wiring of `inverter`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.inverter.nodes import finalise_inverter, fit_inverter
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return generator, training_pairs -> image_inverter, and its course."""
    config = {"config": "params:editing.inverter"}
    return Pipeline(
        [
            wire(
                fit_inverter, "inverter_state", progress="inverter_progress", **config
            ),
            wire(
                finalise_inverter,
                ["inverter_trained", "inverter_training", "inverter_history"],
                name="ship_inverter",
                state="inverter_state",
                **config,
            ),
        ]
    )
