"""Wiring of `published` and `export`."""

from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.pipelines.published.nodes import (
    adopt,
    assemble_folder,
    export_published,
)


def create_pipeline() -> Pipeline:
    """Return published_checkpoint -> prior."""
    return Pipeline(
        [
            Node(
                adopt,
                inputs={
                    "published_checkpoint": "published_checkpoint",
                    "generator": "generator",
                    "encoder": "encoder",
                    "data": "params:data",
                    "seed": "params:seed",
                    "device": "params:device",
                },
                outputs="prior",
                name="adopt_published_prior",
            ),
        ]
    )


def create_export_pipeline() -> Pipeline:
    """Return prior -> published_export, pretrained_folder."""
    return Pipeline(
        [
            Node(
                export_published,
                inputs="exported_prior",
                outputs="published_export",
                name="export_published",
            ),
            Node(
                assemble_folder,
                inputs={
                    "exported_prior": "exported_prior",
                    "generator": "generator",
                    "encoder": "encoder",
                    "model_references": "model_references",
                    "data": "params:data",
                    "sampling": "params:sampling",
                },
                outputs="pretrained_folder",
                name="assemble_pretrained_folder",
            ),
        ]
    )
