"""The comparison: methods that answer prompts, their scores, and what they cost."""

from clip2latent_kedro.methods.clip2latent import Clip2Latent
from clip2latent_kedro.methods.method import LackingError, Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.study.answers import (
    Answers,
    Stored,
    as_record,
    curve_from_arrays,
    from_arrays,
    name_changes,
    to_arrays,
)
from clip2latent_kedro.study.bridging import measure_bridges
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.distances import (
    DISTANCES,
    GeneratorImages,
    embed_generator_images,
    measure_distances,
)
from clip2latent_kedro.study.drawing import Curve, Drawn, draw_row
from clip2latent_kedro.study.planning import PlannedRow, plan_rows
from clip2latent_kedro.study.prompts import check_apart, read_queries, rows_of
from clip2latent_kedro.study.scoring import (
    SCORES,
    best_samples,
    score_prompts,
    summarise_scores,
)
from clip2latent_kedro.study.timing import STAGES, TIMED, time_rows
from clip2latent_kedro.study.variants import Variant, make_variant

__all__ = [
    "DISTANCES",
    "SCORES",
    "STAGES",
    "TIMED",
    "Answers",
    "Clip2Latent",
    "Curve",
    "Drawn",
    "EvaluationConfig",
    "GeneratorImages",
    "LackingError",
    "Models",
    "PlannedRow",
    "Queries",
    "Stored",
    "Variant",
    "as_record",
    "best_samples",
    "check_apart",
    "curve_from_arrays",
    "draw_row",
    "embed_generator_images",
    "from_arrays",
    "make_variant",
    "measure_bridges",
    "measure_distances",
    "name_changes",
    "plan_rows",
    "read_queries",
    "rows_of",
    "score_prompts",
    "summarise_scores",
    "time_rows",
    "to_arrays",
]
