"""A user's own pictures -> latents."""

from clip2latent_kedro.pipelines.inversion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
