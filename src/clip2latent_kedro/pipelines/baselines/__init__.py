"""Pipeline `baselines`: what the method is compared with, where it must be trained."""

from clip2latent_kedro.pipelines.baselines.pipeline import create_pipeline

__all__ = ["create_pipeline"]
