"""Pipeline `sweep`: which settings of sampling are best."""

from clip2latent_kedro.pipelines.sweep.pipeline import create_pipeline

__all__ = ["create_pipeline"]
