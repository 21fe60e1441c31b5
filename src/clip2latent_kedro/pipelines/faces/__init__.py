"""Pipeline `faces`: trains the CLIPs of the faces on samples of a GAN of others."""

from clip2latent_kedro.pipelines.faces.pipeline import create_pipeline

__all__ = ["create_pipeline"]
