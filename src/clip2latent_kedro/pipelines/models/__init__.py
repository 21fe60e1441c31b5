"""Pipeline `models`: what an environment needs from elsewhere, fetched ahead."""

from clip2latent_kedro.pipelines.models.pipeline import create_pipeline

__all__ = ["create_pipeline"]
