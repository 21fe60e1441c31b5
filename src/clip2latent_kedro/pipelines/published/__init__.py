"""A published checkpoint -> prior; prior -> files to publish."""

from clip2latent_kedro.pipelines.published.pipeline import (
    create_export_pipeline,
    create_pipeline,
)

__all__ = ["create_export_pipeline", "create_pipeline"]
