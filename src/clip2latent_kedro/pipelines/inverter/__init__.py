"""The training of an encoder, picture -> w."""

from clip2latent_kedro.pipelines.inverter.pipeline import create_pipeline

__all__ = ["create_pipeline"]
