"""Pipeline `distillation`: trained prior -> one-step student."""

from clip2latent_kedro.pipelines.distillation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
