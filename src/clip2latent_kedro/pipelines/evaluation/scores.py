"""Nodes of `evaluation` that score the answers."""

import logging
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.metrics.modality_gap import ModalityGap
from clip2latent_kedro.pipelines.evaluation.nodes import Rows
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.comparison import (
    bootstrap_scores,
    is_comparable,
)
from clip2latent_kedro.study.config import GENERATOR_IMAGES, EvaluationConfig
from clip2latent_kedro.study.distances import measure_distances
from clip2latent_kedro.study.engine import StoredResult, describe_scorers
from clip2latent_kedro.study.gaps import measure_gaps
from clip2latent_kedro.study.samples import Samples
from clip2latent_kedro.study.scoring import SCORES, score_prompts
from clip2latent_kedro.study.tables import as_columns
from clip2latent_kedro.study.timing import TIMED

logger = logging.getLogger(__name__)


def score_answers(
    answers: Mapping[str, StoredResult], rows: Rows, queries: Queries, models: Models
) -> pd.DataFrame:
    """Score the images of each row and prompt, in a table.

    Args:
        answers: All that are stored.
        rows: What `leave_out_failed` returned.
        queries: Prompts.
        models: Of `add_references`; the prior knows the Gaussian of the training data.
    """
    tables = []
    gaussian = models.find_prior("prior").gaussian
    for name, planned in rows.items():
        samples, _ = answers[name]
        asked = queries.take(planned.prompts.tolist())
        table = {
            "method": name,
            "kind": planned.variant.method,
            "prompt_index": planned.prompts,
            "prompt": asked.texts,
            "num_samples": samples["images"].shape[1],
            **score_prompts(samples, asked, gaussian, models.latent_repeats),
        }
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


def measure_row_distances(
    answers: Mapping[str, StoredResult], rows: Rows, evaluation: EvaluationConfig
) -> pd.DataFrame:
    """Return the distances of each row's images from the generator's own.

    Args:
        answers: All that are stored.
        rows: What `leave_out_failed` returned.
        evaluation: The protocol.

    Returns:
        `method`, and what `measure_distances` gives; no rows without
        `evaluation.generator_images`.
    """
    found = []
    num_prompts = max(len(planned.prompts) for planned in rows.values())
    reference: Samples = {}  # it stays so if the generator's images failed
    if evaluation.generator_images is not None:
        reference = answers[GENERATOR_IMAGES][0]
    if reference:
        is_held_out = "held_out_embedding" in reference
        name = "held_out_embedding" if is_held_out else "image_embedding"
        for row in rows:
            distances = measure_distances(
                answers[row][0][name],
                reference[name],
                num_prompts=num_prompts,
                num_samples=evaluation.num_samples,
            )
            found.append({"method": row, **distances})
    columns = ["method", "num_images", "kid", "kid_error", "fid", "cmmd", "fid_images"]
    return pd.DataFrame(found, columns=columns)


def measure_gap(
    answers: Mapping[str, StoredResult],
    rows: Rows,
    queries: Queries,
    models: Models,
    sampling: SamplingConfig,
    seed: int,
) -> pd.DataFrame:
    """Measure the gap between the prompts and their references for each bridge.

    Args:
        answers: All that are stored.
        rows: Of `leave_out_failed`, one of kind `reference` among them.
        queries: Prompts.
        models: Of `add_references`; the prior bridges texts by what it knows.
        sampling: How texts are bridged.
        seed: Seed of the run.

    Returns:
        A row for each bridge (see `metrics.modality_gap`); none without references
        or without training pairs.
    """
    columns = ["bridge", *(field.name for field in fields(ModalityGap))]
    references = [name for name in rows if rows[name].variant.method == "reference"]
    if not references or models.training_pairs is None:
        return pd.DataFrame(columns=columns)
    name = references[0]
    gaps = measure_gaps(
        models.find_prior("prior").to(models.device),
        queries.take(rows[name].prompts.tolist()),
        answers[name][0]["image_embedding"],
        sampling,
        retrieval_bank=models.training_pairs.clip_embedding,
        seed=seed,
    )
    table = [{"bridge": bridge, **gap} for bridge, gap in gaps.items()]
    return pd.DataFrame(table, columns=columns)


def summarise(
    scores_by_prompt: pd.DataFrame,
    distances: pd.DataFrame,
    timings: dict[str, Any],
    rows: Rows,
    models: Models,
    evaluation: EvaluationConfig,
    seed: int,
) -> pd.DataFrame:
    """Return one row for each method: means, intervals, distances, seconds.

    Args:
        scores_by_prompt: What `score_answers` returned.
        distances: What `measure_row_distances` returned.
        timings: What `collect_timings` returned.
        rows: What `leave_out_failed` returned.
        models: Of `add_references`, which score.
        evaluation: The protocol.
        seed: Seed of the run.

    Returns:
        For each score its mean, `_low` and `_high`, empty where it does not apply;
        the distances of its images; `seconds_` of each stage, and together `seconds`
        of `timing_images` and `seconds_one` of a single image, each with `_std`, empty
        of one run, and `_runs`; `training_seconds` where they are known; and what
        scored: `encoder`, `held_out_encoder`, `judge`.
    """
    by_method: dict[Any, Any] = distances.set_index("method").to_dict("index")
    table: list[dict[str, Any]] = []
    for name, of_row in scores_by_prompt.groupby("method", sort=False):
        intervals = bootstrap_scores(
            {score: of_row[score].to_numpy(float) for score in SCORES},
            num_resamples=evaluation.num_resamples,
            confidence=evaluation.confidence,
            seed=seed,
        )
        row: dict[str, Any] = {"method": name, "num_prompts": len(of_row)}
        row["num_samples"] = of_row["num_samples"].max()
        row["kind"] = of_row["kind"].iloc[0]
        row |= as_columns(intervals)
        if name in by_method:
            row |= by_method[name]
        row |= _summarise_seconds(str(name), timings)
        method = rows[str(name)].method
        if method is not None and method.training_seconds is not None:
            row["training_seconds"] = method.training_seconds
        table.append(row | describe_scorers(models))
    return pd.DataFrame(table)


def _summarise_seconds(name: str, timings: Mapping[str, Any]) -> dict[str, float]:
    """Return the columns of a row's seconds; none if it is not timed."""
    stages = timings["seconds"].get(name, {})
    row = {f"seconds_{stage}": float(np.mean(stages[stage])) for stage in stages}
    for what in TIMED:
        if name in timings[what]:
            totals = np.sum(list(timings[what][name].values()), axis=0)  # [repeats]
            row["timing_images"] = timings["protocol"]["timing_images"]
            row[what], row[f"{what}_runs"] = float(totals.mean()), len(totals)
            row[f"{what}_std"] = totals.std(ddof=1) if len(totals) > 1 else np.nan
    return row


def compare_rows(
    scores_by_prompt: pd.DataFrame, evaluation: EvaluationConfig, seed: int
) -> pd.DataFrame:
    """Return how far each row is from the baseline, paired by prompt.

    Args:
        scores_by_prompt: What `score_answers` returned.
        evaluation: The protocol.
        seed: Seed of the run.

    Returns:
        For each score the mean difference, `_low` and `_high`, empty where it does
        not apply to both, or is the best of other numbers of samples; no rows if the
        baseline is not among the methods.
    """
    num_samples = scores_by_prompt.groupby("method", sort=False)["num_samples"].max()
    baseline = evaluation.baseline
    if baseline is not None and baseline not in num_samples.index:
        logger.warning("No differences: the baseline %s is not there.", baseline)
    if baseline is None or baseline not in num_samples.index:
        return pd.DataFrame(columns=["method", "baseline"])
    dense = densify(scores_by_prompt)
    table = []
    for name in num_samples.index.drop(baseline):
        row: dict[str, Any] = {"method": name, "baseline": baseline}
        differences = {
            score: values - dense[baseline][score]
            for score, values in dense[name].items()
            if is_comparable(score, num_samples[name], num_samples[baseline])
        }
        intervals = bootstrap_scores(
            differences,
            num_resamples=evaluation.num_resamples,
            confidence=evaluation.confidence,
            seed=seed,
        )
        row |= as_columns(intervals)
        table.append(row)
    return pd.DataFrame(table, columns=None if table else ["method", "baseline"])


def densify(scores_by_prompt: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """Return the scores of each method, NaN for a prompt that it was not asked.

    Args:
        scores_by_prompt: What `score_answers` returned.

    Returns:
        By method and score, [num_prompts].
    """
    num_prompts = int(scores_by_prompt["prompt_index"].max()) + 1
    dense: dict[str, dict[str, np.ndarray]] = {}
    for name, of_row in scores_by_prompt.groupby("method", sort=False):
        dense[str(name)] = {}
        for score in SCORES:
            values = np.full(num_prompts, np.nan)
            values[of_row["prompt_index"]] = of_row[score]
            dense[str(name)][score] = values
    return dense
