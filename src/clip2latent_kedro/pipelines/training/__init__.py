"""Pipeline `training`: training pairs -> prior."""

from clip2latent_kedro.pipelines.training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
