"""Nodes of `evaluation` that make pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.pipelines.evaluation.nodes import Rows
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.engine import StoredResult
from clip2latent_kedro.study.figures import (
    Chart,
    Line,
    plot_charts,
    read_intervals,
    render_figure,
)
from clip2latent_kedro.study.grid import plot_grid
from clip2latent_kedro.study.samples import Samples
from clip2latent_kedro.study.scoring import best_samples
from clip2latent_kedro.study.tables import ENDS, TITLES
from clip2latent_kedro.study.tradeoffs import DIVERSITY, MARKERS, Curve, chart_tradeoffs

PLOTTED = ("clip_score", "held_out_score", "accuracy")


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
    markers, colours = _mark_rows(methods)
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


def plot_tradeoffs(scores: pd.DataFrame, rows: Rows) -> np.ndarray:
    """Return attributes and blends against diversity as a picture, uint8 [h, w, 3].

    A row with one answer to a prompt has no diversity, and stands at 0. Random w are
    left out, since they are far from whatever was asked for.

    Args:
        scores: What `summarise` returned.
        rows: What `leave_out_failed` returned.
    """
    has_one_answer = [
        method is not None and method.is_deterministic
        for method in (rows[str(name)].method for name in scores["method"])
    ]
    scores = scores.copy()
    for end in ENDS:
        if f"{DIVERSITY}{end}" in scores:
            scores.loc[has_one_answer, f"{DIVERSITY}{end}"] = 0.0
    markers, colours = _mark_rows(scores["method"].astype(str).tolist())
    curves = {
        name: Curve([number], style=markers[name], colour=colours[name])
        for number, name in enumerate(markers)
        if scores["kind"].iloc[number] != "random_w"
    }
    return render_figure(plot_charts([chart_tradeoffs(scores, curves)]))


def _mark_rows(names: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the marker and the colour of each row, the same in all pictures."""
    markers = {name: MARKERS[n % len(MARKERS)] for n, name in enumerate(names)}
    return markers, {name: f"C{n % 10}" for n, name in enumerate(names)}
