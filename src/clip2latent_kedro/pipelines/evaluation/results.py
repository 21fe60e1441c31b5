"""Nodes of `evaluation` that turn scores into tables, the figure and the report."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.evaluation import (
    SCORES,
    Drawn,
    EvaluationConfig,
    Queries,
    best_samples,
    summarise_scores,
    variants_of_rows,
)
from clip2latent_kedro.evaluation.figure import draw_comparison
from clip2latent_kedro.interfaces import Judge
from clip2latent_kedro.pipelines.evaluation.report import (
    compose_report,
    gap_cells,
    markdown_table,
    score_cells,
)
from clip2latent_kedro.samplers import SamplingConfig

Absent = Mapping[str, Any]  # an empty mapping, in the place of what a domain lacks


def summarise(
    scores_by_prompt: pd.DataFrame,
    timings: dict[str, Any],
    evaluation: EvaluationConfig,
    seed: int,
) -> pd.DataFrame:
    """Return one row for each method: means, intervals, seconds.

    Args:
        scores_by_prompt: Of `score_samples`.
        timings: Of `time_methods`.
        evaluation: `params:evaluation`.
        seed: `params:seed`.

    Returns:
        For each score its mean, `_low` and `_high`, empty where it does not apply;
        `seconds_` of each stage, their sum `seconds`, and its standard deviation.
    """
    rows: list[dict[str, Any]] = []
    for method, table in scores_by_prompt.groupby("method", sort=False):
        intervals = summarise_scores(
            {name: table[name].to_numpy(float) for name in SCORES},
            num_resamples=evaluation.num_resamples,
            confidence=evaluation.confidence,
            seed=seed,
        )
        row: dict[str, Any] = {"method": method}
        row["num_prompts"], row["num_samples"] = len(table), table["num_samples"].max()
        for name, interval in intervals.items():
            row[name] = interval.mean
            row[f"{name}_low"], row[f"{name}_high"] = interval.low, interval.high
        stages = timings["seconds"].get(method, {})
        row |= {f"seconds_{stage}": np.mean(stages[stage]) for stage in stages}
        if stages:
            totals = np.sum(list(stages.values()), axis=0)  # [timing_repeats]
            row["seconds"], row["seconds_std"] = totals.mean(), totals.std()
        rows.append(row)
    return pd.DataFrame(rows)


def draw_figure(
    drawn: dict[str, Drawn], queries: Queries, evaluation: EvaluationConfig
) -> np.ndarray:
    """Return prompts x methods as a picture, uint8 [h, w, 3].

    Args:
        drawn: The answers by row name.
        queries: Prompts.
        evaluation: `params:evaluation`.

    Returns:
        The first sample of each method; of clip2latent also the best by CLIP.
    """
    prompts = np.arange(min(evaluation.figure_prompts, len(queries.texts)))
    columns = {}
    for row, answers in drawn.items():
        columns[row] = answers.images[prompts, 0]
        if row in evaluation.rows:
            best = best_samples(answers, queries)[prompts]
            columns[f"{row}, best"] = answers.images[prompts, best]
    return draw_comparison([queries.texts[prompt] for prompt in prompts], columns)


def write_report(
    scores: pd.DataFrame,
    modality_gap: pd.DataFrame,
    timings: dict[str, Any],
    samples_figure: np.ndarray,
    models: dict[str, str],
    judge: Judge | Absent,
    sampling: SamplingConfig,
    evaluation: EvaluationConfig,
    seed: int,
) -> tuple[str, str]:
    """Return the report as HTML, and its table of scores as Markdown.

    Args:
        scores: Of `summarise`.
        modality_gap: Of `measure_gap`.
        timings: Of `time_methods`.
        samples_figure: Of `draw_figure`.
        models: Of `assemble_methods`.
        judge: An empty mapping if there is none.
        sampling: `params:sampling`.
        evaluation: `params:evaluation`.
        seed: `params:seed`.
    """
    packages = ("clip2latent-kedro", "torch", "numpy", "kedro")
    facts = {
        **models,
        "judge": str(judge.identity) if isinstance(judge, Judge) else "none",
        "seed": str(seed),
        "intervals": f"{evaluation.confidence:.0%}, bootstrap over prompts",
        "versions": ", ".join(f"{name} {version(name)}" for name in packages),
    }
    settings = {
        row: {"prior": variant.prior, **asdict(variant.sampling)}
        for row, variant in variants_of_rows(sampling, evaluation.rows).items()
    }
    table = score_cells(scores)
    gaps = gap_cells(modality_gap)
    html = compose_report(table, gaps, timings, settings, facts, samples_figure)
    return html, markdown_table(table)
