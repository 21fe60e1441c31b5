"""Nodes of `coverage` that sample and count."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.coverage.answers import find_answers, read_shown
from clip2latent_kedro.study.coverage.config import CoverageConfig
from clip2latent_kedro.study.coverage.demands import (
    Demand,
    count_values,
    list_demands,
)
from clip2latent_kedro.study.coverage.samples import (
    draw_again,
    join_samples,
    plan_samples,
)
from clip2latent_kedro.study.coverage.texts import (
    NearestImages,
    describe_nearest,
    find_nearest,
    score_held_out,
)
from clip2latent_kedro.study.coverage.zero_shot import ZeroShotJudge
from clip2latent_kedro.study.engine import PlannedVariant, StoredResult
from clip2latent_kedro.study.prompts import embed_rows, read_stated, rows_of
from clip2latent_kedro.study.samples import Samples, shrink_images
from clip2latent_kedro.study.scoring import score_prompts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CoverageFound:
    """What has been found.

    Attributes:
        num_images: Of the generator.
        demands: Every value and pair of values; none without a judge.
        prompts: A row for each prompt; none where a domain has none.
        nearest: Images of the generator that CLIP likes best of each prompt.
        row: The row of the comparison beside it; None for none.
        answers: What is stored of that row; none of none.
        problem: Why there are no such answers; "" if there are.
    """

    num_images: int
    demands: list[Demand]
    prompts: pd.DataFrame
    nearest: NearestImages
    row: str | None
    answers: Samples
    problem: str


def add_judge(models: Models, coverage: CoverageConfig) -> Models:
    """Add a judge by CLIP to a domain that has none but has texts for one.

    Args:
        models: What `gather_models` returned.
        coverage: `params:coverage`.
    """
    if models.judge is not None or not coverage.zero_shot:
        return models
    encoder = models.encoder if models.held_out is None else models.held_out
    return replace(models, judge=ZeroShotJudge(encoder, coverage.zero_shot))


def read_demands(
    prompts: pd.DataFrame, models: Models, evaluation: EvaluationConfig
) -> Queries:
    """Return the prompts of the comparison, embedded if the encoder knows texts.

    Args:
        prompts: A column `prompt`, and one for each attribute that is stated; None in
            a domain without.
        models: What `add_judge` returned.
        evaluation: How many prompts.

    Returns:
        Prompts; their embedding has no columns where the encoder does not know them.
    """
    rows = rows_of(prompts)
    if rows:
        try:
            return embed_rows(rows, models, num_prompts=evaluation.num_prompts)
        except InputError as error:
            logger.warning("Without the texts of the prompts: %s", error)
    rows = rows[: evaluation.num_prompts]
    attributes = {} if models.judge is None else models.judge.attributes
    return Queries(
        [row.get("prompt", "") for row in rows],
        torch.empty(len(rows), 0),
        read_stated(rows, attributes),
    )


def plan(
    models: Models,
    queries: Queries,
    data: DataConfig,
    coverage: CoverageConfig,
    psi: float,
    seed: int,
) -> list[PlannedVariant]:
    """Plan the images of the generator, in parts that are stored as they come.

    Args:
        models: What `add_judge` returned.
        queries: What `read_demands` returned.
        data: Groups of latents.
        coverage: How many images.
        psi: Truncation of the training pairs.
        seed: Seed of the run.

    Raises:
        InputError: If there is neither a judge nor a text, so that nothing can be told.
    """
    if models.judge is None and not queries.embedding.shape[1]:
        msg = (
            "The coverage needs a judge, or prompts whose texts the encoder knows, got "
            "neither. Give the catalog a judge, or coverage.zero_shot some texts."
        )
        raise InputError(msg)
    return plan_samples(coverage.num_images, models, data, psi=psi, seed=seed)


@torch.no_grad()
def draw_nearest(
    samples: Mapping[str, StoredResult],
    variants: list[PlannedVariant],
    queries: Queries,
    models: Models,
    data: DataConfig,
    evaluation: EvaluationConfig,
    psi: float,
    seed: int,
) -> NearestImages:
    """Draw again, of each prompt, the image that CLIP likes best.

    Args:
        samples: All parts that are stored.
        variants: What `plan` returned.
        queries: What `read_demands` returned.
        models: What `add_judge` returned.
        data: Groups of latents.
        evaluation: Gives the size of stored images.
        psi: Truncation of the training pairs.
        seed: Seed of the run.
    """
    if not queries.embedding.shape[1]:
        nothing = np.empty(0, dtype=np.int64)
        pictures = np.empty((0, 1, 1, 3), dtype=np.uint8)
        return NearestImages(nothing, np.empty(0), nothing, None, pictures)
    embedding = join_samples(variants, samples)["image_embedding"]
    number, clip_score, num_own = find_nearest(embedding, queries)
    image = draw_again(number.tolist(), models, data, psi=psi, seed=seed)
    held_out = None
    if models.held_out is not None:
        held_out = score_held_out(image, queries, models.held_out)
    pictures = image_to_uint8(shrink_images(image, evaluation.stored_image_size))
    return NearestImages(number, clip_score, num_own, held_out, pictures)


def measure(
    samples: Mapping[str, StoredResult],
    variants: list[PlannedVariant],
    nearest: NearestImages,
    queries: Queries,
    models: Models,
    answers: Mapping[str, StoredResult],
    evaluation: EvaluationConfig,
    coverage: CoverageConfig,
) -> CoverageFound:
    """Count what the images show, and compare it with what the prompts ask.

    Args:
        samples: All parts that are stored.
        variants: What `plan` returned.
        nearest: What `draw_nearest` returned.
        queries: What `read_demands` returned.
        models: What `add_judge` returned.
        answers: Of the rows of the comparison; none before there is one.
        evaluation: Names the row, its `baseline`, and gives the confidence.
        coverage: `params:coverage`.
    """
    drawn = join_samples(variants, samples)
    row, problem = evaluation.baseline, ""
    answered: Samples = {}
    if row is not None:
        as_compared, asked = models, queries
        if isinstance(models.judge, ZeroShotJudge):  # the comparison has no judge
            as_compared = replace(models, judge=None)
            asked = replace(queries, stated=queries.stated[:, :0])
        try:
            answered = find_answers(answers, row, as_compared, asked)
        except InputError as error:
            problem = str(error)
            logger.warning("Without a row of the comparison: %s", problem)
    attributes = {} if models.judge is None else models.judge.attributes
    shown = None
    if answered:
        shown = answered["prompts"], read_shown(answered, models.judge)
    demands = list_demands(
        drawn["shown"],
        queries.stated,
        shown,
        attributes,
        coverage,
        confidence=evaluation.confidence,
    )
    prompts = _measure_prompts(drawn["shown"], nearest, queries, answered, shown)
    return CoverageFound(
        len(drawn["shown"]), demands, prompts, nearest, row, answered, problem
    )


def _measure_prompts(
    drawn: np.ndarray,
    nearest: NearestImages,
    queries: Queries,
    answered: Samples,
    shown: tuple[np.ndarray, np.ndarray] | None,
) -> pd.DataFrame:
    """Return a row for each prompt."""
    columns: dict[str, object] = {"prompt": queries.texts}
    if queries.stated.shape[1]:
        names = ("num_stated", "most_shown", "all_shown")
        columns |= dict(zip(names, count_values(drawn, queries.stated), strict=True))
    columns |= describe_nearest(nearest)
    if shown is not None:
        numbers, seen = shown
        asked = queries.take(numbers.tolist())
        of_row = score_prompts({**answered, "seen": seen}, asked)
        scores = {
            "row_clip_score": of_row["clip_score"],
            "row_held_out_score": of_row["held_out_score"],
            "row_right": of_row["accuracy"],
        }
        for name, values in scores.items():
            dense = np.full(len(queries.texts), np.nan)
            dense[numbers] = values
            if np.isfinite(dense).any():
                columns[name] = dense
    return pd.DataFrame(columns)
