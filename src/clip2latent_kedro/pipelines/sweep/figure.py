"""Scores of a sweep against the values that it tries."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clip2latent_kedro.pipelines.evaluation.tables import TITLES
from clip2latent_kedro.study.engine import Variant
from clip2latent_kedro.study.sweep import label_overrides

SHOWN = ("accuracy", "clip_score", "clip_diversity")
WIDTH, HEIGHT = 4.2, 2.8  # inches of one plot
APART = 0.06  # of the distance of two values, between two lines


def draw_grids(scores: pd.DataFrame, trials: Sequence[Variant]) -> Figure:
    """Return a row of plots, with intervals, for each grid of two points or more.

    Args:
        scores: A row for each trial: means, and intervals `_low` and `_high`.
        trials: The points, in the same order.
    """
    shown = [name for name in SHOWN if name in scores]
    grids: dict[str, list[int]] = {}
    for index, trial in enumerate(trials):
        if scores["problem"].isna().iloc[index]:
            grids.setdefault(trial.group, []).append(index)
    grids = {grid: rows for grid, rows in grids.items() if len(rows) > 1}
    size = (WIDTH * max(1, len(shown)), HEIGHT * max(1, len(grids)))
    figure = Figure(figsize=size, layout="constrained")
    if not grids:
        return figure
    plots = figure.subplots(len(grids), len(shown), squeeze=False)
    for row, (grid, rows) in zip(plots, grids.items(), strict=True):
        settings = [trials[index].overrides for index in rows]
        for axes, name in zip(row, shown, strict=True):
            _draw_grid(axes, scores.iloc[rows], settings, name)
            axes.set(title=grid.replace("_", " "), ylabel=TITLES[name])
    return figure


def _draw_grid(
    axes: Axes, scores: pd.DataFrame, settings: Sequence[Mapping[str, Any]], name: str
) -> None:
    """Draw one score: the setting of most values along x, a line for each rest."""
    swept = max(
        settings[0], key=lambda key: len({str(s[key]) for s in settings}), default=""
    )
    values = list(dict.fromkeys(str(point.get(swept, "")) for point in settings))
    lines: dict[str, list[int]] = {}
    for index, point in enumerate(settings):
        rest = {key: value for key, value in point.items() if key != swept}
        lines.setdefault(label_overrides(rest), []).append(index)
    for number, (label, members) in enumerate(lines.items()):
        aside = APART * (number - (len(lines) - 1) / 2)
        x = [values.index(str(settings[i].get(swept, ""))) + aside for i in members]
        means, low, high = (
            scores[f"{name}{end}"].to_numpy(float)[members]
            for end in ("", "_low", "_high")
        )
        spread = np.stack([means - low, high - means])
        axes.errorbar(x, means, spread, fmt="o-", capsize=3, markersize=4, label=label)
    axes.set_xticks(range(len(values)), values, fontsize=8)
    axes.set_xlabel(swept)
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend(fontsize=6)
