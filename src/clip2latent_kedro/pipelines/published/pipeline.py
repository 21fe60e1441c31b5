"""Wiring of `published` and `export`."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.published.nodes import (
    adopt,
    assemble_folder,
    export_published,
)
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return published_checkpoint -> prior."""
    return Pipeline([wire(adopt, "prior", name="adopt_published_prior")])


def create_export_pipeline() -> Pipeline:
    """Return prior -> published_export, pretrained_folder."""
    return Pipeline(
        [
            wire(export_published, "published_export"),
            wire(
                assemble_folder, "pretrained_folder", name="assemble_pretrained_folder"
            ),
        ]
    )
