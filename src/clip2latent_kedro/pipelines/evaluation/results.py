"""Nodes of `evaluation` that make figures and the report."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pipelines.evaluation.nodes import Rows
from clip2latent_kedro.pipelines.evaluation.scores import densify
from clip2latent_kedro.pipelines.evaluation.sections import (
    PUBLISHED,
    claim_section,
    difference_section,
    gap_section,
    score_section,
    timing_section,
)
from clip2latent_kedro.study.claims import Scored
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.engine import StoredResult
from clip2latent_kedro.study.figures import (
    Chart,
    Line,
    plot_charts,
    plot_grid,
    read_intervals,
    render_figure,
)
from clip2latent_kedro.study.origin import describe_origin
from clip2latent_kedro.study.page import Section, to_html, to_markdown
from clip2latent_kedro.study.samples import Samples
from clip2latent_kedro.study.scoring import best_samples
from clip2latent_kedro.study.tables import TITLES, format_settings

PLOTTED = ("clip_score", "held_out_score", "accuracy")
MARKERS = "osD^v<>Pp*Xhd"


def draw_samples(
    answers: Mapping[str, StoredResult],
    rows: Rows,
    queries: Queries,
    evaluation: EvaluationConfig,
) -> np.ndarray:
    """Return prompts x methods as a picture, uint8 [h, w, 3].

    Args:
        answers: All that are stored.
        rows: What `leave_out_failed` returned.
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
    return plot_grid(queries.texts[:num_prompts], columns)


def plot_scores(
    scores: pd.DataFrame, answers: Mapping[str, StoredResult], rows: Rows
) -> np.ndarray:
    """Return scores against seconds and steps as a picture, uint8 [h, w, 3].

    Args:
        scores: What `summarise` returned.
        answers: All that are stored.
        rows: What `leave_out_failed` returned.
    """
    every = {name: answers[name][0] for name in rows}
    curves = {name: arrays for name, arrays in every.items() if "curve_steps" in arrays}
    return render_figure(plot_score_charts(scores, curves))


def plot_score_charts(scores: pd.DataFrame, curves: Mapping[str, Samples]) -> Figure:
    """Return charts of the scores against seconds for an image, and against steps.

    Args:
        scores: What `summarise` returned.
        curves: Of rows that go step by step.
    """
    scores = scores.astype({"method": str})
    methods = scores["method"].tolist()
    markers = {name: MARKERS[n % len(MARKERS)] for n, name in enumerate(methods)}
    colours = {name: f"C{n % 10}" for n, name in enumerate(methods)}
    cost = "seconds_one"  # which every row that is timed has
    timed = scores.dropna(subset=[cost]) if cost in scores else scores[:0]
    charts = []
    for score in (score for score in PLOTTED if score in scores):
        lines = [
            Line(
                name,
                row[cost].to_numpy(),
                *read_intervals(row, score),
                style=markers[name],
                colour=colours[name],
            )
            for name in methods
            for row in [timed[timed["method"] == name]]
            if len(row)
        ]
        charts.append(Chart(lines, "seconds for one image", TITLES[score], is_log=True))
    lines = []
    for name, curve in curves.items():
        found = {f"{markers[name]}-": curve["curve_clip_score"]}
        if "curve_held_out_score" in curve:
            found[f"{markers[name]}--"] = curve["curve_held_out_score"]
        for style, values in found.items():
            mean = values.mean(axis=(1, 2))  # of all samples
            label = "" if style.endswith("--") else name
            means = mean, mean, mean
            steps = curve["curve_steps"]
            lines.append(Line(label, steps, *means, style, colours[name]))
    if lines:
        ylabel = f"{TITLES['clip_score']} (dashed: {TITLES['held_out_score']})"
        charts.append(Chart(lines, "steps", ylabel))
    return plot_charts([charts])


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
    """Return the report as HTML, and without pictures in Markdown.

    Args:
        scores: What `summarise` returned.
        scores_by_prompt: What `score_answers` returned.
        differences: What `compare_rows` returned.
        modality_gap: What `measure_gap` returned.
        timings: What `collect_timings` returned.
        pictures: What `draw_samples` returned.
        plots: What `plot_scores` returned.
        rows: What `leave_out_failed` returned.
        left_out: Why rows have no images, of `leave_out_failed`.
        models: What `add_references` returned.
        evaluation: `params:evaluation`.
        seed: `params:seed`.
    """
    pairs = models.training_pairs
    facts = describe_origin(
        models,
        training_pairs="none" if pairs is None else f"{len(pairs):,}",
        seed=str(seed),
        intervals=f"{evaluation.confidence:.0%}, bootstrap over prompts",
    )
    sections = [
        score_section(scores, pictures, plots),
        Section("Rows left out", points=[(f"{k}:", v) for k, v in left_out.items()]),
        difference_section(differences, evaluation.baseline),
        claim_section(
            _gather_scored(scores_by_prompt, timings, rows),
            evaluation.baseline,
            evaluation.confidence,
        ),
        gap_section(modality_gap),
        timing_section(timings),
        PUBLISHED,
        Section(
            "What this rests on",
            tables=[
                [["", ""], *map(list, facts.items())],
                [
                    ["row", "settings"],
                    *([n, format_settings(r.settings)] for n, r in rows.items()),
                ],
            ],
        ),
    ]
    return to_html("Evaluation", "", sections), to_markdown("Evaluation", "", sections)


def _gather_scored(
    scores_by_prompt: pd.DataFrame, timings: dict[str, Any], rows: Rows
) -> list[Scored]:
    dense = densify(scores_by_prompt)
    seconds = {
        name: np.sum(list(stages.values()), axis=0).tolist()  # of each repeat
        for name, stages in timings["seconds"].items()
    }
    return [
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
