"""The comparison: methods that answer prompts, their scores, and what they cost."""

from clip2latent_kedro.evaluation.clip2latent import Clip2Latent
from clip2latent_kedro.evaluation.config import EvaluationConfig, sampling_of_rows
from clip2latent_kedro.evaluation.drawing import Drawn, draw_row
from clip2latent_kedro.evaluation.method import Method, Queries
from clip2latent_kedro.evaluation.nearest_pair import NearestPair
from clip2latent_kedro.evaluation.prompts import read_queries
from clip2latent_kedro.evaluation.random_w import RandomW
from clip2latent_kedro.evaluation.references import References
from clip2latent_kedro.evaluation.scoring import (
    SCORES,
    best_samples,
    score_prompts,
    summarise_scores,
)
from clip2latent_kedro.evaluation.timing import STAGES, time_rows

__all__ = [
    "SCORES",
    "STAGES",
    "Clip2Latent",
    "Drawn",
    "EvaluationConfig",
    "Method",
    "NearestPair",
    "Queries",
    "RandomW",
    "References",
    "best_samples",
    "draw_row",
    "read_queries",
    "sampling_of_rows",
    "score_prompts",
    "summarise_scores",
    "time_rows",
]
