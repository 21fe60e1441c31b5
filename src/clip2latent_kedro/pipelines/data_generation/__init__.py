"""Pipeline `data_generation`: generator and encoder -> training pairs."""

from clip2latent_kedro.pipelines.data_generation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
