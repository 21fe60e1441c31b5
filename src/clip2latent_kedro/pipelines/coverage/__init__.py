"""Pipeline `coverage`: what the generator can make of what prompts ask."""

from clip2latent_kedro.pipelines.coverage.pipeline import create_pipeline

__all__ = ["create_pipeline"]
