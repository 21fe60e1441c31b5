"""Pipeline `editing`: every way of editing on the same pictures."""

from clip2latent_kedro.pipelines.editing.pipeline import (
    create_audit_pipeline,
    create_pipeline,
)

__all__ = ["create_audit_pipeline", "create_pipeline"]
