"""A user's own prompts -> pictures."""

from clip2latent_kedro.pipelines.inference.pipeline import create_pipeline

__all__ = ["create_pipeline"]
