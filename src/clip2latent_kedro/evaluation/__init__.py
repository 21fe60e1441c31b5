"""The comparison: methods that answer prompts, their scores, and what they cost."""

from clip2latent_kedro.evaluation.bridging import measure_bridges
from clip2latent_kedro.evaluation.clip2latent import Clip2Latent
from clip2latent_kedro.evaluation.config import EvaluationConfig, variants_of_rows
from clip2latent_kedro.evaluation.drawing import Drawn, draw_row
from clip2latent_kedro.evaluation.generator_bound import GeneratorBound
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
from clip2latent_kedro.evaluation.variants import (
    PriorName,
    Variant,
    find_prior,
    make_variant,
)

__all__ = [
    "SCORES",
    "STAGES",
    "Clip2Latent",
    "Drawn",
    "EvaluationConfig",
    "GeneratorBound",
    "Method",
    "NearestPair",
    "PriorName",
    "Queries",
    "RandomW",
    "References",
    "Variant",
    "best_samples",
    "draw_row",
    "find_prior",
    "make_variant",
    "measure_bridges",
    "read_queries",
    "score_prompts",
    "summarise_scores",
    "time_rows",
    "variants_of_rows",
]
