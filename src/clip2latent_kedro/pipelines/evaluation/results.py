"""Nodes of `evaluation` that make figures and the report."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.interfaces import Encoder, Judge
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pipelines.evaluation.html import compose_page
from clip2latent_kedro.pipelines.evaluation.markdown import compose_markdown
from clip2latent_kedro.pipelines.evaluation.nodes import Rows
from clip2latent_kedro.pipelines.evaluation.scatter import draw_scores
from clip2latent_kedro.pipelines.evaluation.scores import densify
from clip2latent_kedro.pipelines.evaluation.tables import (
    difference_cells,
    gap_cells,
    score_cells,
    timing_cells,
)
from clip2latent_kedro.study.claims import (
    Claim,
    Scored,
    describe_claims,
    judge_claims,
)
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.engine import Stored
from clip2latent_kedro.study.figure import draw_comparison, render_figure
from clip2latent_kedro.study.scoring import best_samples


def draw_samples(
    answers: Mapping[str, Stored],
    rows: Rows,
    queries: Queries,
    evaluation: EvaluationConfig,
) -> np.ndarray:
    """Return prompts x methods as a picture, uint8 [h, w, 3].

    Args:
        answers: All that are stored.
        rows: Of `plan`.
        queries: Prompts.
        evaluation: `params:evaluation`.

    Returns:
        The first sample of each method; of clip2latent also the best by CLIP. White
        where a row was not asked a prompt.
    """
    num_prompts = min(evaluation.figure_prompts, len(queries.texts))
    columns = {}
    for name, planned in rows.items():
        samples, prompts = answers[name][0], planned.prompts
        best = best_samples(samples, queries.take(prompts.tolist()))
        images = samples["images"]
        chosen = {name: np.zeros_like(best)}
        if planned.variant.method == "clip2latent":
            chosen[f"{name}, best"] = best
        shown = prompts < num_prompts
        for title, number in chosen.items():
            column = np.full((num_prompts, *images.shape[2:]), 255, np.uint8)
            numbers = np.arange(len(images))[shown]
            column[prompts[shown]] = images[numbers, number[shown]]
            columns[title] = column
    return draw_comparison(queries.texts[:num_prompts], columns)


def plot_scores(
    scores: pd.DataFrame, answers: Mapping[str, Stored], rows: Rows
) -> np.ndarray:
    """Return scores against seconds and steps as a picture, uint8 [h, w, 3].

    Args:
        scores: Of `summarise`.
        answers: All that are stored.
        rows: Of `plan`.
    """
    every = {name: answers[name][0] for name in rows}
    curves = {name: arrays for name, arrays in every.items() if "curve_steps" in arrays}
    return render_figure(draw_scores(scores, curves))


def write_report(
    scores: pd.DataFrame,
    scores_by_prompt: pd.DataFrame,
    differences: pd.DataFrame,
    modality_gap: pd.DataFrame,
    timings: dict[str, Any],
    pictures: np.ndarray,
    plots: np.ndarray,
    rows: Rows,
    left_out: dict[str, str],
    models: Models,
    evaluation: EvaluationConfig,
    seed: int,
) -> tuple[str, str]:
    """Return the report as HTML, and its tables in Markdown.

    Args:
        scores: Of `summarise`.
        scores_by_prompt: Of `score_answers`.
        differences: Of `compare_rows`.
        modality_gap: Of `measure_gap`.
        timings: Of `collect_timings`.
        pictures: Of `draw_samples`.
        plots: Of `plot_scores`.
        rows: Of `plan`.
        left_out: Of `plan`.
        models: Of `gather_models`.
        evaluation: `params:evaluation`.
        seed: `params:seed`.
    """
    claims = _judge_claims(scores_by_prompt, timings, rows, evaluation)
    sureness = describe_claims(claims, evaluation.confidence)
    table, apart = score_cells(scores), difference_cells(differences)
    packages = ("clip2latent-kedro", "torch", "numpy", "kedro")
    pairs = models.training_pairs
    facts = {
        "generator": str(models.generator.identity),
        "encoder": str(models.encoder.identity),
        "held-out encoder": _name(models.held_out),
        "judge": _name(models.judge),
        "training pairs": "none" if pairs is None else f"{len(pairs):,}",
        "seed": str(seed),
        "intervals": f"{evaluation.confidence:.0%}, bootstrap over prompts",
        "versions": ", ".join(f"{name} {version(name)}" for name in packages),
    }
    html = compose_page(
        scores=table,
        differences=apart,
        baseline=evaluation.baseline,
        claims=claims,
        sureness=sureness,
        gaps=gap_cells(modality_gap),
        timings=timing_cells(timings),
        protocol=timings["protocol"],
        machine=timings["machine"],
        settings={name: planned.settings for name, planned in rows.items()},
        left_out=left_out,
        facts=facts,
        pictures=pictures,
        plots=plots,
    )
    markdown = compose_markdown(
        table, apart, evaluation.baseline, claims, sureness, left_out=left_out
    )
    return html, markdown


def _judge_claims(
    scores_by_prompt: pd.DataFrame,
    timings: dict[str, Any],
    rows: Rows,
    evaluation: EvaluationConfig,
) -> list[Claim]:
    dense = densify(scores_by_prompt)
    seconds = {
        name: np.sum(list(stages.values()), axis=0).tolist()  # of each repeat
        for name, stages in timings["seconds"].items()
    }
    scored = [
        Scored(
            name,
            planned.variant.method,
            planned.settings,
            dense[name],
            seconds.get(name),
            () if planned.method is None else planned.method.caveats,
        )
        for name, planned in rows.items()
    ]
    return judge_claims(scored, evaluation.baseline, confidence=evaluation.confidence)


def _name(model: Encoder | Judge | None) -> str:
    return "none" if model is None else str(model.identity)
