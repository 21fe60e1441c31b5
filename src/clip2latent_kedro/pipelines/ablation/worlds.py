"""The same study in several worlds, side by side."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.study.cells import Table
from clip2latent_kedro.study.figures import Chart, Line, plot_charts, read_intervals
from clip2latent_kedro.study.tables import TITLES, score_table

COMPARED = ("accuracy", "blended", "detected", "clip_diversity", "w_distance")


def plot_worlds(
    tables: Mapping[str, pd.DataFrame], study: str, scores: Sequence[str] = COMPARED
) -> Figure:
    """Return a row of charts for each world, with the same scores below each other.

    Args:
        tables: The catalog entry `ablation_scores` of each world, by its name.
        study: Name of a study that all of them have.
        scores: A column of charts for each that any world has; where a world has none,
            its chart is empty.

    Raises:
        InputError: If a table has no such study.
    """
    chosen = {
        world: _read_study(table, study, world) for world, table in tables.items()
    }
    shown = [
        name
        for name in scores
        if any(name in rows and rows[name].notna().any() for rows in chosen.values())
    ]
    return plot_charts(
        [
            [
                _chart(rows, name, world if not column else "")
                for column, name in enumerate(shown)
            ]
            for world, rows in chosen.items()
        ]
    )


def tabulate_worlds(tables: Mapping[str, pd.DataFrame], study: str) -> Table:
    """Return the scores of a study in every world, world after world.

    Args:
        tables: The catalog entry `ablation_scores` of each world, by its name.
        study: Name of a study that all of them have.

    Raises:
        InputError: If a table has no such study.
    """
    chosen = [
        _read_study(table, study, world).assign(world=world)
        for world, table in tables.items()
    ]
    left_out = ["training_seconds", "seconds", "num_samples", "line"]
    rows = pd.concat(chosen, ignore_index=True).drop(columns=left_out)
    return score_table(f"{study} in each world", rows, ["world", "variant"])


def _read_study(table: pd.DataFrame, study: str, world: str) -> pd.DataFrame:
    rows = table[table["study"] == study].reset_index(drop=True)
    if not len(rows):
        known = ", ".join(dict.fromkeys(table["study"]))
        msg = (
            f"The ablation of {world} must have the study {study!r}, got {known}. Run "
            f"it there: kedro run --pipeline=ablation."
        )
        raise InputError(msg)
    values = pd.Series(map(_read_value, rows["value"]), dtype=object)
    return rows.fillna({"line": ""}).assign(value=values)


def _read_value(written: str | float | None) -> Any:
    """Return a value of the axis, as JSON or as a table of numbers alone has it."""
    if isinstance(written, str):
        return json.loads(written)
    return None if written is None or math.isnan(written) else written


def _chart(rows: pd.DataFrame, name: str, title: str) -> Chart:
    """Return a score of a study along its axis: a line each, level for those apart."""
    is_apart = rows["variant"] == rows["line"]  # those have no place on the axis
    values = list(dict.fromkeys(map(str, rows["value"][~is_apart])))
    lines = []
    for line, of_line in rows.groupby("line", sort=False):
        if name not in of_line or of_line[name].isna().all():
            continue
        x = None
        if not is_apart[of_line.index].any():
            x = np.array([values.index(str(value)) for value in of_line["value"]])
        lines.append(Line(str(line), x, *read_intervals(of_line, name)))
    shown: list[Any] = list(dict.fromkeys(rows["value"][~is_apart]))
    if not all(type(value) in (int, float) for value in shown):
        shown = [_name_value(value) for value in shown]
    axis = str(rows["axis"].iloc[0])
    return Chart(lines, axis, TITLES[name], title=title, values=shown)


def _name_value(value: object) -> str:
    if value is None:
        return "all"
    return f"{value:g}" if isinstance(value, float) else str(value)
