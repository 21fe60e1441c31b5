"""Pipeline `tuning`: as many settings of every method that is compared."""

from clip2latent_kedro.pipelines.tuning.pipeline import create_pipeline

__all__ = ["create_pipeline"]
