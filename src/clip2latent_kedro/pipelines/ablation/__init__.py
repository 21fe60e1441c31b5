"""Pipeline `ablation`: studies of one setting at a time, and their report."""

from clip2latent_kedro.pipelines.ablation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
