"""Pipeline `evaluation`: prompts and a prior -> pictures, scores, timings."""

from clip2latent_kedro.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
