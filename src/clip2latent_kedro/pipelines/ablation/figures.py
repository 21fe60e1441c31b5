"""Scores of a study along its axis, and pictures along it.

Rows of a study are in its own order: line by line, each along the values of the axis,
then those apart.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from clip2latent_kedro.study.ablation.config import StudySpec
from clip2latent_kedro.study.ablation.plan import SCORES, AblationQueries
from clip2latent_kedro.study.figures import (
    Chart,
    Line,
    plot_charts,
    read_intervals,
)
from clip2latent_kedro.study.grid import plot_grid
from clip2latent_kedro.study.tables import TITLES
from clip2latent_kedro.study.tradeoffs import Curve, chart_tradeoffs

COLUMNS = 3  # charts in a row
WHITE = 255
CPU_SECONDS = "CPU seconds of training"


def plot_study(table: pd.DataFrame, spec: StudySpec) -> Figure:
    """Return a chart of each score along the study, with intervals.

    Then come what depends on both: attributes and blends against diversity.

    Args:
        table: The rows of the study, of `tabulate`.
        spec: The study.
    """
    values, num_values = spec.values, len(spec.values)
    if not all(type(value) in (int, float) for value in values):
        values = [name.partition(" ")[2] for name in _name_values(spec, table)]
    by_time = spec.against == "cpu_seconds"
    charts = []
    for name in SCORES:
        if name not in table or table[name].isna().all():
            continue
        lines = []
        for number, line in enumerate(spec.lines):
            rows = table[number * num_values : (number + 1) * num_values]
            places = _read_seconds(rows) if by_time else range(num_values)
            lines.append(Line(line, places, *read_intervals(rows, name)))
        for label in spec.apart:
            rows = table[table["variant"] == label].dropna(subset=name)
            if len(rows):
                place = _read_seconds(rows) if by_time else None
                lines.append(Line(label, place, *read_intervals(rows, name)))
        if by_time:
            charts.append(Chart(lines, CPU_SECONDS, TITLES[name], is_log=True))
        else:
            charts.append(Chart(lines, spec.axis, TITLES[name], values=values))
    curves = {
        line: Curve(
            range(number * num_values, (number + 1) * num_values),
            [str(value) for value in values],
        )
        for number, line in enumerate(spec.lines)
    }
    for label in spec.apart:
        curves[label] = Curve(np.flatnonzero(table["variant"] == label).tolist())
    charts += chart_tradeoffs(table, curves)
    return plot_charts(
        [charts[n : n + COLUMNS] for n in range(0, len(charts), COLUMNS)]
    )


def plot_strip(
    table: pd.DataFrame,
    spec: StudySpec,
    pictures: Sequence[np.ndarray],
    conditions: Sequence[str],
    all_queries: AblationQueries,
) -> np.ndarray:
    """Return pictures of the same seeds along the axis, uint8 [h, w, 3].

    Args:
        table: The rows of the study, of `tabulate`.
        spec: The study.
        pictures: Of each variant uint8 [num_prompts, h, w, 3]; none where it failed.
        conditions: What each was drawn of, `text` or `image`.
        all_queries: What there was to draw of.

    Returns:
        Rows of line x query, a column for each value, then those apart; the pictures
        that were given, where some were; white where a variant failed.
    """
    good = [of_variant for of_variant in pictures if of_variant.size]
    if not good:
        return np.full((1, 1, 3), WHITE, np.uint8)
    blank = np.full_like(good[0], WHITE)
    cells = [of_variant if of_variant.size else blank for of_variant in pictures]
    num_values = len(spec.values)
    num_placed = len(spec.lines) * num_values  # those after them are apart
    columns = {
        name: cells[number:num_placed:num_values]
        for number, name in enumerate(_name_values(spec, table))
    }
    for label, cell in zip(spec.apart, cells[num_placed:], strict=True):
        columns[label] = [cell, *[blank] * (len(spec.lines) - 1)]
    of_lines = conditions[:num_placed:num_values]
    if "image" in of_lines:
        given = [all_queries.given if line == "image" else blank for line in of_lines]
        columns = {"given": given, **columns}
    prompts = []
    for line, condition in zip(spec.lines, of_lines, strict=True):
        queries = all_queries.texts if condition == "text" else all_queries.images
        texts = queries.texts[: len(blank)]
        prompts += [f"{line}: {text}" if line else text for text in texts]
    return plot_grid(prompts, {k: np.concatenate(v) for k, v in columns.items()})


def _read_seconds(rows: pd.DataFrame) -> np.ndarray:
    """Return the CPU seconds that the training of a prior took, [num_rows]."""
    seconds: np.ndarray = rows["training_cpu_seconds"].to_numpy(float)
    return seconds


def _name_values(spec: StudySpec, table: pd.DataFrame) -> list[str]:
    """Return what the variants of the first line are called beside its name."""
    labels = table["variant"].tolist()[: len(spec.values)]
    return [label.removeprefix(f"{next(iter(spec.lines))}, ") for label in labels]
