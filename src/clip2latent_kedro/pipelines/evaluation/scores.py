"""Nodes of `evaluation` that score the answers."""

import logging
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.metrics.modality_gap import ModalityGap
from clip2latent_kedro.pipelines.evaluation.nodes import Rows
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study import (
    SCORES,
    TIMED,
    EvaluationConfig,
    GeneratorImages,
    Models,
    Queries,
    Stored,
    from_arrays,
    measure_bridges,
    measure_distances,
    score_prompts,
    summarise_scores,
)
from clip2latent_kedro.study.comparison import compare_scores, is_comparable
from clip2latent_kedro.study.config import GENERATOR_IMAGES

logger = logging.getLogger(__name__)

SCORERS = ("encoder", "held_out_encoder", "judge")  # of the last columns of `scores`


def score_answers(
    answers: Mapping[str, Stored],
    rows: Rows,
    queries: Queries,
    prior: DiffusionPrior,
    models: Models,
) -> pd.DataFrame:
    """Return one row for each method and prompt, with the scores of its samples.

    Args:
        answers: All that are stored.
        rows: Of `plan`.
        queries: Prompts.
        prior: Knows the cloud of the training data.
        models: Of `gather_models`.
    """
    tables = []
    for name, planned in rows.items():
        found = from_arrays(answers[name][0])
        asked = queries.take(found.prompts.tolist())
        scores = score_prompts(found.drawn, asked, prior.cloud, models.latent_repeats)
        table = {
            "method": name,
            "kind": planned.spec.method,
            "prompt_index": found.prompts,
            "prompt": asked.texts,
            "num_samples": found.drawn.images.shape[1],
            **scores,
        }
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


def measure_row_distances(
    answers: Mapping[str, Stored], rows: Rows, evaluation: EvaluationConfig
) -> pd.DataFrame:
    """Return the distances of each row's images from the generator's own.

    Args:
        answers: All that are stored.
        rows: Of `plan`.
        evaluation: `params:evaluation`.

    Returns:
        `method`, and what `measure_distances` gives; no rows without
        `evaluation.generator_images`.
    """
    found = []
    num_prompts = max(len(planned.prompts) for planned in rows.values())
    if evaluation.generator_images is not None:
        stored = answers[GENERATOR_IMAGES][0]
        held_out = stored.get("held_out_embedding")
        reference = GeneratorImages(stored["image_embedding"], held_out).features
        name = "image_embedding" if held_out is None else "held_out_embedding"
        for row in rows:
            features = answers[row][0][name]
            distances = measure_distances(
                features,
                reference,
                num_prompts=num_prompts,
                num_samples=evaluation.num_samples,
            )
            found.append({"method": row, **distances})
    columns = ["method", "num_images", "kid", "kid_error", "fid", "cmmd", "fid_images"]
    return pd.DataFrame(found, columns=columns)


def measure_gap(
    answers: Mapping[str, Stored],
    rows: Rows,
    queries: Queries,
    prior: DiffusionPrior,
    models: Models,
    sampling: SamplingConfig,
    seed: int,
) -> pd.DataFrame:
    """Return the gap between the prompts and their references for each bridge.

    Args:
        answers: All that are stored.
        rows: Of `plan`, one of kind `reference` among them.
        queries: Prompts.
        prior: Bridges texts by what it knows of embeddings.
        models: Of `gather_models`.
        sampling: `params:sampling`.
        seed: `params:seed`.

    Returns:
        A row for each bridge (see `metrics.modality_gap`); none without references
        or without training pairs.
    """
    columns = ["bridge", *(field.name for field in fields(ModalityGap))]
    references = [name for name in rows if rows[name].spec.method == "reference"]
    if not references or models.training_pairs is None:
        return pd.DataFrame(columns=columns)
    found = from_arrays(answers[references[0]][0])
    gaps = measure_bridges(
        prior.to(models.device),
        queries.take(found.prompts.tolist()),
        found.drawn.image_embedding,
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
    evaluation: EvaluationConfig,
    seed: int,
) -> pd.DataFrame:
    """Return one row for each method: means, intervals, distances, seconds.

    Args:
        scores_by_prompt: Of `score_answers`.
        distances: Of `measure_row_distances`.
        timings: Of `collect_timings`.
        rows: Of `plan`.
        evaluation: `params:evaluation`.
        seed: `params:seed`.

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
        intervals = summarise_scores(
            {score: of_row[score].to_numpy(float) for score in SCORES},
            num_resamples=evaluation.num_resamples,
            confidence=evaluation.confidence,
            seed=seed,
        )
        row: dict[str, Any] = {"method": name, "num_prompts": len(of_row)}
        row["num_samples"] = of_row["num_samples"].max()
        row["kind"] = of_row["kind"].iloc[0]
        for score, interval in intervals.items():
            row[score] = interval.mean
            row[f"{score}_low"], row[f"{score}_high"] = interval.low, interval.high
        if name in by_method:
            row |= by_method[name]
        row |= _summarise_seconds(str(name), timings)
        training = rows[str(name)].method.training_seconds
        scored_by = {by: rows[str(name)].answered_by[by] for by in SCORERS}
        table.append(
            row
            | ({} if training is None else {"training_seconds": training})
            | scored_by
        )
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
        scores_by_prompt: Of `score_answers`.
        evaluation: `params:evaluation`.
        seed: `params:seed`.

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
        for score, values in dense[name].items():
            if not is_comparable(score, num_samples[name], num_samples[baseline]):
                continue
            difference = compare_scores(
                values,
                dense[baseline][score],
                num_resamples=evaluation.num_resamples,
                confidence=evaluation.confidence,
                seed=seed,
            )
            if difference is not None:
                row[score] = difference.mean
                row[f"{score}_low"] = difference.low
                row[f"{score}_high"] = difference.high
        table.append(row)
    return pd.DataFrame(table)


def densify(scores_by_prompt: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """Return the scores of each method, NaN for a prompt that it was not asked.

    Args:
        scores_by_prompt: Of `score_answers`.

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
