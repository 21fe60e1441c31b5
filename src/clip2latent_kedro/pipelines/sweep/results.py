"""Nodes of `sweep` and `tuning` that show what has been found."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.study.cells import Table
from clip2latent_kedro.study.comparison import bootstrap_scores
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.engine import (
    Overrides,
    PlannedVariant,
    StoredResult,
    describe_scorers,
)
from clip2latent_kedro.study.figures import (
    Chart,
    Line,
    plot_charts,
    read_intervals,
    render_figure,
)
from clip2latent_kedro.study.origin import describe_origin, origin_table
from clip2latent_kedro.study.page import Point, Section, to_html, to_markdown
from clip2latent_kedro.study.scoring import SCORES, applying_scores
from clip2latent_kedro.study.sweep import SweepConfig
from clip2latent_kedro.study.tables import TITLES, as_columns, score_table
from clip2latent_kedro.study.tradeoffs import Curve, chart_fronts, chart_tradeoffs

logger = logging.getLogger(__name__)

ROWS = "variants"  # the anchor of the rows, which choices lead to
SHOWN = 3  # rows that a choice is shown with
PLOTTED = ("accuracy", "clip_score", "clip_diversity", "blended")


def tabulate(
    results: Mapping[str, StoredResult],
    variants: list[PlannedVariant],
    models: Models,
    evaluation: EvaluationConfig,
    sweep: SweepConfig,
    seed: int,
) -> pd.DataFrame:
    """Return one row for each variant.

    Args:
        results: All that are stored.
        variants: What `plan` returned.
        models: What `add_priors` returned.
        evaluation: Gives the settings of intervals.
        sweep: What is tried.
        seed: Seed of the run.

    Returns:
        `grid`, `variant`, the value of each setting that the grid sweeps; for each
        score its mean, `_low` and `_high`, empty where it does not apply, and
        `_seeds`, the standard deviation over seeds; `encoder` and `judge`, which
        scored; `problem` of a variant that failed; `result`, the name of its file.
    """
    scored_by = describe_scorers(models)
    del scored_by["held_out_encoder"]
    found = {one.key: results[one.key][1]["problem"] for one in variants}
    problems = [problem for problem in found.values() if problem]
    if problems:
        logger.warning(
            "%d of %d variants could not be scored, and the report says why; the "
            "first: %s",
            len(problems),
            len(found),
            problems[0],
        )
    rows: list[dict[str, Any]] = []
    n = sweep.num_prompts
    for one in variants:
        variant = one.variant
        row: dict[str, Any] = {"grid": variant.group, "variant": variant.label}
        row |= {name: _cell(value) for name, value in variant.overrides.items()}
        row |= {"num_prompts": min(variant.num_prompts or n, n)}
        row |= {"num_samples": variant.num_samples or sweep.num_samples}
        row |= {"num_seeds": len(one.depends_on["seeds"])}
        row |= as_columns(summarise(results[one.key], evaluation, seed))
        row |= _spread_of_seeds(results[one.key])
        rows.append({**row, **scored_by, "problem": found[one.key], "result": one.key})
    table = pd.DataFrame(rows)
    last = [*scored_by, "problem", "result"]
    return table[[*table.columns.drop(last), *last]]


def write_report(
    sweep_scores: pd.DataFrame,
    variants: list[PlannedVariant],
    best: Mapping[str, Any],
    choice: str,
    models: Models,
    evaluation: EvaluationConfig,
    sweep: SweepConfig,
    seed: int,
) -> tuple[str, str]:
    """Return the report as HTML, and without pictures in Markdown.

    Args:
        sweep_scores: What `tabulate` returned.
        variants: What `plan` returned.
        best: What `choose` or `choose_each` returned.
        choice: The same as YAML.
        models: What has sampled and scored.
        evaluation: Gives the settings of intervals.
        sweep: What was tried.
        seed: `params:seed`.
    """
    facts = describe_origin(
        models,
        prompts=f"{sweep.num_prompts} of the bank, {sweep.num_samples} images of each, "
        f"{sweep.num_seeds} seeds from {seed}, unless a variant says otherwise",
        intervals=f"{evaluation.confidence:.0%}, bootstrap over prompts",
    )
    told = best.get("methods", {"": best})
    failed = sweep_scores[sweep_scores["problem"].notna()]
    sections = [
        Section(
            "What is chosen",
            [best["rule"]],
            [_describe_choice(one) for one in told.values()],
            code=choice,
            language="yaml",
        ),
        Section(
            "Scores of all variants",
            [
                "Means over the prompts with their intervals. Of so many variants the "
                "best looks better than it is: score it again on other prompts."
            ],
            charts={
                "what diversity costs": render_figure(plot_tradeoffs(sweep_scores)),
                "scores along each grid": render_figure(plot(sweep_scores, variants)),
            },
            tables=[_variant_table(sweep_scores)],
        ),
        Section(
            "Variants that failed",
            points=[
                Point(f"{row['grid']}: {row['variant']}.", row["problem"])
                for row in failed.to_dict("records")
            ],
        ),
        Section("What this rests on", tables=[origin_table(facts)]),
    ]
    title = "Tuning" if sweep.is_equal else "Sweep"
    return to_html(title, "", sections), to_markdown(title, "", sections)


def _describe_choice(told: Mapping[str, Any]) -> Point:
    """Return a choice, what it scores, and what cannot be told from it."""
    scores = ", ".join(
        f"{TITLES[name]} {told['scores'][name]['mean']:.3f}"
        for name in PLOTTED
        if name in told["scores"]
    )
    last = list(told["contenders"].values())[-1:] or [[]]
    others = [name for name in last[0] if name != told["variant"]]
    sentence = f"{scores}; the best of {len(told['tried'])} that were tried."
    if others:
        sentence += f" {len(others)} others were as good by all demands."
    names = [told["variant"], *others[:SHOWN]]
    return Point(f"{told['variant']}.", sentence, [(ROWS, name) for name in names])


def _variant_table(scores: pd.DataFrame) -> Table:
    """Return the scores, each row named by its grid and variant."""
    names = scores["grid"].astype(str) + ": " + scores["variant"].astype(str)
    named = scores.drop(columns="variant").assign(variant=names)
    return score_table("Scores of each variant", named, ["variant"], anchor=ROWS)


def plot(sweep_scores: pd.DataFrame, variants: list[PlannedVariant]) -> Figure:
    """Return each grid's scores against the values that it sweeps.

    Args:
        sweep_scores: What `tabulate` returned.
        variants: What `plan` returned.

    Returns:
        A row of charts for each grid of which two points or more have been scored.
    """
    shown = [name for name in PLOTTED if name in sweep_scores]
    points: dict[str, dict[int, Overrides]] = {}
    for row, one in enumerate(variants):
        if pd.isna(sweep_scores["problem"].iloc[row]):
            points.setdefault(one.variant.group, {})[row] = one.variant.overrides
    return plot_charts(
        [
            _chart_grid(grid, sweep_scores.iloc[[*of_row]], [*of_row.values()], shown)
            for grid, of_row in points.items()
            if len(of_row) > 1
        ]
    )


def plot_tradeoffs(sweep_scores: pd.DataFrame) -> Figure:
    """Return attributes and blends of all variants against their diversity.

    Args:
        sweep_scores: What `tabulate` returned.
    """
    groups = sweep_scores["grid"].str.replace("_", " ").tolist()
    labels = sweep_scores["variant"].astype(str).tolist()
    return plot_charts([chart_fronts(sweep_scores, groups, labels)])


def _chart_grid(
    grid: str,
    scores: pd.DataFrame,
    points: Sequence[Overrides],
    shown: Sequence[str],
) -> list[Chart]:
    """Chart scores: the setting of most values along x, a line for each other point.

    Then come attributes and blends against diversity, along the same lines.
    """
    swept = max(points[0], key=lambda name: len({str(p[name]) for p in points}))
    values = list({str(point[swept]): point[swept] for point in points}.values())
    is_scaled = all(type(value) in (int, float) for value in values)
    lines: dict[str, list[int]] = {}
    for row, point in enumerate(points):
        rest = [f"{name} {value}" for name, value in point.items() if name != swept]
        lines.setdefault(", ".join(rest), []).append(row)
    curves = {
        label: Curve(rows, [str(points[row][swept]) for row in rows])
        for label, rows in lines.items()
    }
    title = grid.replace("_", " ")
    return [
        Chart(
            [
                Line(
                    label,
                    [values.index(points[row][swept]) for row in rows],
                    *read_intervals(scores.iloc[rows], name),
                )
                for label, rows in lines.items()
            ],
            swept,
            TITLES[name],
            title=title,
            values=values if is_scaled else [str(value) for value in values],
        )
        for name in shown
    ] + chart_tradeoffs(scores, curves, title=title)


def mean_scores(result: StoredResult) -> dict[str, np.ndarray]:
    """Return the scores of a variant by prompt, [num_prompts] each, none if it failed.

    Means over seeds; those of whom one does not apply are not scores of it.

    Args:
        result: As `plan_sweep` has it computed.
    """
    found = {name: result[0][name] for name in SCORES if name in result[0]}
    return {name: values.mean(axis=0) for name, values in found.items()}


def summarise(
    result: StoredResult, evaluation: EvaluationConfig, seed: int
) -> dict[str, Interval]:
    """Return the mean over prompts of each score, with its interval.

    Args:
        result: As `plan_sweep` has it computed.
        evaluation: Gives the settings of intervals.
        seed: Seed of the run.
    """
    return bootstrap_scores(
        mean_scores(result),
        num_resamples=evaluation.num_resamples,
        confidence=evaluation.confidence,
        seed=seed,
    )


def _spread_of_seeds(result: StoredResult) -> dict[str, float]:
    """Return the standard deviation of each score over seeds; nothing of one seed."""
    found = applying_scores(result[0], SCORES)
    return {
        f"{name}_seeds": float(np.nanmean(values, axis=1).std(ddof=1))
        for name, values in found.items()
        if len(values) > 1
    }


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value
