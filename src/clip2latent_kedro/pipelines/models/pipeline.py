"""Wiring of `models`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.models.nodes import (
    export_generator,
    fetch_entries,
    list_files,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return addresses in the catalog -> files, a list of them, the generator."""
    return Pipeline(
        [
            wire(fetch_entries, "fetched_files", entries="fetchable_entries"),
            wire(list_files, "model_inventory", files="fetched_files"),
            wire(export_generator, "converted_generator", files="fetched_files"),
        ]
    )
