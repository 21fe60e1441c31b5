"""Wiring of `models`."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.models.nodes import (
    export_generator,
    fetch_entries,
    list_files,
)


def create_pipeline() -> Pipeline:
    """Return addresses in the catalog -> files, a list of them, the generator."""
    return Pipeline(
        [
            Node(
                fetch_entries,
                inputs="fetchable_entries",
                outputs="fetched_files",
                name="fetch_entries",
            ),
            Node(
                list_files,
                inputs="fetched_files",
                outputs="model_inventory",
                name="list_files",
            ),
            Node(
                export_generator,
                inputs="fetched_files",
                outputs="converted_generator",
                name="export_generator",
            ),
        ]
    )
