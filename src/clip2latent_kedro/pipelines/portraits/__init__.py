"""Pipeline `portraits`: trains the embedded domain's own models from nothing."""

from clip2latent_kedro.pipelines.portraits.pipeline import create_pipeline

__all__ = ["create_pipeline"]
