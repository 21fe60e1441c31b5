"""Scores of a study along its axis, and pictures along it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clip2latent_kedro.pipelines.evaluation.tables import TITLES
from clip2latent_kedro.study.ablation.config import StudySpec, describe_override
from clip2latent_kedro.study.ablation.plan import SCORES, Ablation
from clip2latent_kedro.study.engine import Planned, Stored
from clip2latent_kedro.study.figure import draw_comparison

WIDTH, HEIGHT, COLUMNS = 4.2, 3.0, 3  # inches of a plot; plots in a row
LOG_FROM = 20  # ratio of the ends of an axis that is drawn in powers
WHITE = 255


def draw_study(
    table: pd.DataFrame, variants: Sequence[Planned], spec: StudySpec
) -> Figure:
    """Return a plot of each score against the axis, with intervals over seeds.

    Args:
        table: The rows of the study, of `tabulate`.
        variants: Of the study, in the same order.
        spec: The study.
    """
    shown = [name for name in SCORES if name in table and table[name].notna().any()]
    columns = min(COLUMNS, max(1, len(shown)))
    num_rows = max(1, math.ceil(len(shown) / columns))
    figure = Figure(figsize=(WIDTH * columns, HEIGHT * num_rows), layout="constrained")
    if not shown:
        return figure
    plots = figure.subplots(num_rows, columns, squeeze=False).ravel()
    for axes, name in zip(plots, shown, strict=False):
        _draw_score(axes, table, variants, spec, name)
    for axes in plots[len(shown) :]:
        axes.set_axis_off()
    handles, labels = plots[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _draw_score(
    axes: Axes,
    table: pd.DataFrame,
    variants: Sequence[Planned],
    spec: StudySpec,
    name: str,
) -> None:
    means, low, high = (
        table[f"{name}{end}"].to_numpy(float) for end in ("", "_low", "_high")
    )
    places = _place_values(axes, spec.axis, spec.values)
    for line in spec.lines:
        rows = [
            row
            for row, variant in enumerate(variants)
            if variant.variant.line == line and not variant.variant.is_apart
        ]
        x = [places[repr(variants[row].variant.value)] for row in rows]
        spread = np.stack([means[rows] - low[rows], high[rows] - means[rows]])
        axes.errorbar(
            x, means[rows], spread, fmt="o-", capsize=3, markersize=4, label=line
        )
    for row, variant in enumerate(variants):
        if variant.variant.is_apart and math.isfinite(means[row]):
            drawn = axes.axhline(
                means[row], linestyle="--", color="0.3", label=variant.variant.label
            )
            axes.axhspan(low[row], high[row], color=drawn.get_color(), alpha=0.12)
    axes.set(title=TITLES[name], xlabel=spec.axis)
    axes.grid(alpha=0.3)


def _place_values(axes: Axes, axis: str, values: Sequence[Any]) -> dict[str, float]:
    """Return where each value is along x: numbers to scale, others side by side."""
    numbers = [
        v for v in values if isinstance(v, int | float) and not isinstance(v, bool)
    ]
    if len(numbers) < len(values):
        words = [describe_override(axis, value).split(" ", 1)[1] for value in values]
        axes.set_xticks(range(len(values)), words)
        return {repr(value): float(place) for place, value in enumerate(values)}
    if min(numbers) > 0 and max(numbers) / min(numbers) >= LOG_FROM:
        axes.set_xscale("log")
        axes.set_xticks(numbers, [f"{number:g}" for number in numbers])
        axes.minorticks_off()
    return {repr(value): float(value) for value in values}


def draw_strip(
    variants: Sequence[Planned], outcomes: Mapping[str, Stored], bench: Ablation
) -> np.ndarray:
    """Return pictures of the same seeds along the axis, uint8 [h, w, 3].

    Args:
        variants: Of a study.
        outcomes: By key.
        bench: Knows the queries.

    Returns:
        Rows of line x query, a column for each value, then those apart; the pictures
        that were given, where some were; white where a variant failed.
    """
    good = [v for v in variants if outcomes[v.key][1]["problem"] is None]
    if not good:
        return np.full((1, 1, 3), WHITE, np.uint8)
    first = outcomes[good[0].key][0]["pictures"]
    blank = np.full_like(first, WHITE)
    on_axis = [v for v in variants if not v.variant.is_apart]
    lines = list(dict.fromkeys(v.variant.line for v in on_axis))
    by_place: dict[str, dict[str, np.ndarray]] = {}
    shown = {v.key: outcomes[v.key][0]["pictures"] for v in good}
    for variant in on_axis:
        title = _title(variant)
        by_place.setdefault(title, {})[variant.variant.line] = shown.get(
            variant.key, blank
        )
    condition = {v.variant.line: v.settings["condition"] for v in on_axis}
    columns = {
        title: np.concatenate([cells.get(line, blank) for line in lines])
        for title, cells in by_place.items()
    }
    for variant in (v for v in variants if v.variant.is_apart):
        cells = [shown.get(variant.key, blank), *[blank] * (len(lines) - 1)]
        columns[variant.variant.label] = np.concatenate(cells)
    if "image" in condition.values():
        cells = [
            bench.queries.given if condition[line] == "image" else blank
            for line in lines
        ]
        columns = {"given": np.concatenate(cells), **columns}
    labels = []
    for line in lines:
        queries = (
            bench.queries.texts if condition[line] == "text" else bench.queries.images
        )
        texts = queries.texts[: len(first)]
        labels += [f"{line}: {text}" if line else text for text in texts]
    return draw_comparison(labels, columns)


def _title(variant: Planned) -> str:
    line = variant.variant.line
    return (
        variant.variant.label.removeprefix(f"{line}, ")
        if line
        else variant.variant.label
    )
