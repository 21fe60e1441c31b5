"""Nodes of `sweep` that compare what has been found."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.pipelines.sweep.nodes import Plan, Results, SweepModels
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study import EvaluationConfig, summarise_scores
from clip2latent_kedro.study.figures import (
    Chart,
    Line,
    draw_charts,
    read_intervals,
)
from clip2latent_kedro.study.page import markdown_table
from clip2latent_kedro.study.selection import RULE, choose_best
from clip2latent_kedro.study.sweep import SweepConfig, Trial, TrialResult
from clip2latent_kedro.study.tables import TITLES, as_columns, score_cells
from clip2latent_kedro.study.variants import changes_any, make_variant

logger = logging.getLogger(__name__)

PLOTTED = ("accuracy", "clip_score", "clip_diversity")


def tabulate(
    results: Results,
    trials: Plan,
    models: SweepModels,
    evaluation: EvaluationConfig,
    sweep: SweepConfig,
    seed: int,
) -> pd.DataFrame:
    """Return one row for each trial.

    Args:
        results: All that are stored.
        trials: Of `plan`.
        models: Of `gather_models`.
        evaluation: `params:evaluation`.
        sweep: `params:sweep`.
        seed: `params:seed`.

    Returns:
        `grid`, `variant`, the value of each setting that the grid sweeps; for each
        score its mean, `_low` and `_high`, empty where it does not apply; `encoder`
        and `judge`, which scored; `problem` of a variant that failed; `result`, the
        name of its file.
    """
    scored_by = {
        "encoder": models.encoder.identity.digest,
        "judge": None if models.judge is None else str(models.judge.identity),
    }
    read = _read(results, trials)
    problems = [result.problem for result in read.values() if result.problem]
    if problems:
        logger.warning(
            "%d of %d variants could not be scored, and sweep_table says why; the "
            "first: %s",
            len(problems),
            len(read),
            problems[0],
        )
    rows: list[dict[str, Any]] = []
    for key, trial in trials:
        row: dict[str, Any] = {"grid": trial.grid, "variant": _name(trial)}
        row |= {name: _cell(value) for name, value in trial.overrides.items()}
        row |= {"num_prompts": sweep.num_prompts, "num_samples": sweep.num_samples}
        row |= as_columns(_summarise(read[key], evaluation, seed))
        rows.append({**row, **scored_by, "problem": read[key].problem, "result": key})
    table = pd.DataFrame(rows)
    last = [*scored_by, "problem", "result"]
    return table[[*table.columns.drop(last), *last]]


def choose(
    results: Results,
    trials: Plan,
    sampling: SamplingConfig,
    sweep: SweepConfig,
    evaluation: EvaluationConfig,
    seed: int,
) -> dict[str, Any]:
    """Return the best variant with what it rests on, as plain JSON.

    Args:
        results: All that are stored.
        trials: Of `plan`.
        sampling: `params:sampling`, the base.
        sweep: `params:sweep`.
        evaluation: `params:evaluation`.
        seed: `params:seed`.

    Returns:
        `run` makes it the settings of a run, `kedro run --config=FILE`; `rule`,
        `comparisons` and `contenders` say how it was found; `scores` of it, with
        intervals.
    """
    read = _read(results, trials)
    base = make_variant(sampling, {})
    eligible = [
        key
        for key, trial in trials
        if not changes_any(trial.variant, base, sweep.fixed)
    ]
    choice = choose_best(
        {key: read[key].arrays() for key in eligible if read[key].scores},
        clip_tolerance=sweep.clip_tolerance,
        confidence=evaluation.confidence,
    )
    names = {key: f"{trial.grid}: {_name(trial)}" for key, trial in reversed(trials)}
    variant = dict(trials)[choice.best].variant
    params: dict[str, Any] = {"sampling": asdict(variant.sampling)}
    if variant.prior != "prior":
        params["inference"] = {"prior": variant.prior}
    scores = _summarise(read[choice.best], evaluation, seed)
    logger.info(
        "The best of %d variants is %s, by intervals for %d comparisons.",
        len(names),
        names[choice.best],
        choice.num_comparisons,
    )
    return {
        "run": {"params": params},
        "variant": names[choice.best],
        "prior": variant.prior,
        "rule": RULE,
        "comparisons": {
            "number": choice.num_comparisons,
            "correction": "Bonferroni",
            "confidence": evaluation.confidence,
        },
        "contenders": {
            criterion: [names[key] for key in keys]
            for criterion, keys in choice.contenders.items()
        },
        "scores": {name: asdict(interval) for name, interval in scores.items()},
    }


def write_table(sweep_scores: pd.DataFrame) -> str:
    """Return the scores as Markdown, with the problems of variants that failed.

    Args:
        sweep_scores: Of `tabulate`.
    """
    return markdown_table(score_cells(sweep_scores, ["grid", "variant"]))


def plot(sweep_scores: pd.DataFrame, trials: Plan) -> Figure:
    """Return each grid's scores against the values that it sweeps.

    Args:
        sweep_scores: Of `tabulate`.
        trials: Of `plan`.

    Returns:
        A row of charts for each grid of which two points or more have been scored.
    """
    shown = [name for name in PLOTTED if name in sweep_scores]
    points: dict[str, dict[int, dict[str, Any]]] = {}
    for row, (_, trial) in enumerate(trials):
        if pd.isna(sweep_scores["problem"].iloc[row]):
            points.setdefault(trial.grid, {})[row] = trial.overrides
    return draw_charts(
        [
            _chart_grid(grid, sweep_scores.iloc[[*of_row]], [*of_row.values()], shown)
            for grid, of_row in points.items()
            if len(of_row) > 1
        ]
    )


def _chart_grid(
    grid: str,
    scores: pd.DataFrame,
    points: Sequence[Mapping[str, Any]],
    shown: Sequence[str],
) -> list[Chart]:
    """Chart scores: the setting of most values along x, a line for each other point."""
    swept = max(points[0], key=lambda name: len({str(p[name]) for p in points}))
    values = list({str(point[swept]): point[swept] for point in points}.values())
    is_scaled = all(type(value) in (int, float) for value in values)
    lines: dict[str, list[int]] = {}
    for row, point in enumerate(points):
        rest = [f"{name} {value}" for name, value in point.items() if name != swept]
        lines.setdefault(", ".join(rest), []).append(row)
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
            title=grid.replace("_", " "),
            values=values if is_scaled else [str(value) for value in values],
        )
        for name in shown
    ]


def _read(results: Results, trials: Plan) -> dict[str, TrialResult]:
    return {key: TrialResult(**results[key]) for key, _ in trials}


def _summarise(
    result: TrialResult, evaluation: EvaluationConfig, seed: int
) -> dict[str, Interval]:
    return summarise_scores(
        result.arrays(),
        num_resamples=evaluation.num_resamples,
        confidence=evaluation.confidence,
        seed=seed,
    )


def _name(trial: Trial) -> str:
    return trial.label or "as it is"


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value
