"""Pictures for people: charts of points with intervals (grids of pictures: `grid`).

matplotlib and pandas are imported where they are needed: a machine that only trains
and samples does without them, and starts without them.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clip2latent_kedro.study.grid import DPI
from clip2latent_kedro.study.tables import ENDS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 4.6, 3.4  # inches of a chart
LABEL_HEIGHT = 0.14  # inches from one label to the next
LOG_FROM = 20  # ratio of the ends of an axis that is drawn in powers
ASIDE = 0.06  # of the distance of two words, between the points of two lines


@dataclass(frozen=True)
class Line:
    """Points with intervals that belong together.

    Attributes:
        label: Stands beside the chart; "" for none.
        x: Where the points are: numbers, or positions in the values of the chart; None
            for one point that holds all along the chart.
        mean: NaN where there is none, [num_points].
        low: Lower ends of the intervals, [num_points].
        high: Upper ends, [num_points].
        style: Of matplotlib: marker and line.
        colour: Of matplotlib; None for the next one.
        x_low: Lower ends of intervals along x, [num_points]; None without such.
        x_high: Upper ends, likewise.
        notes: What stands small at each point; none, or [num_points].
    """

    label: str
    x: Sequence[float] | np.ndarray | None
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    style: str = "o-"
    colour: str | None = None
    x_low: np.ndarray | None = None
    x_high: np.ndarray | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Chart:
    """Lines over one axis.

    Attributes:
        lines: Of which each but a single one is named beside the chart.
        xlabel: Title of the axis below.
        ylabel: Title of the axis on the left.
        title: Title above the chart.
        values: What the axis moves along: numbers are drawn to scale, others side by
            side; None if the lines have places of their own.
        is_log: Whether such places are drawn in powers.
    """

    lines: Sequence[Line]
    xlabel: str
    ylabel: str
    title: str = ""
    values: Sequence[Any] | None = None
    is_log: bool = False


def plot_charts(rows: Sequence[Sequence[Chart]]) -> "Figure":
    """Return charts in rows, each with the names of its lines on the right."""
    from matplotlib.figure import Figure

    num_columns = max(map(len, rows), default=1)
    size = (WIDTH * max(1, num_columns), HEIGHT * max(1, len(rows)))
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    for row, charts in enumerate(rows):
        for column, chart in enumerate(charts):
            axes = figure.add_subplot(
                len(rows), num_columns, row * num_columns + column + 1
            )
            _plot_chart(axes, chart)
    return figure


def read_intervals(
    table: "pd.DataFrame", name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means, lower and upper ends of a score, each [num_rows] float64."""
    mean, low, high = (table[f"{name}{end}"].to_numpy(float) for end in ENDS)
    return mean, low, high


def spread_labels(places: np.ndarray, gap: float) -> np.ndarray:
    """Return places in [0, 1] near the given ones, no two of them nearer than a gap.

    Args:
        places: In any order, [n].
        gap: At least; less if so many do not fit.
    """
    order = np.argsort(places, kind="stable")
    num = len(places)
    below = min(gap, 1 / max(1, num - 1)) * np.arange(num)
    wanted = np.clip(places[order], below, 1 - below[::-1]) - below
    # Pushed up and pushed down both keep the gap, and so does the middle.
    up = np.maximum.accumulate(wanted)
    down = np.minimum.accumulate(wanted[::-1])[::-1]
    spread = np.empty(num)
    spread[order] = (up + down) / 2 + below
    return spread


def render_figure(figure: "Figure") -> np.ndarray:
    """Return a figure as a picture, uint8 [h, w, 3]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    rgba = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    picture: np.ndarray = rgba[..., :3].copy()
    return picture


def _plot_chart(axes: "Axes", chart: Chart) -> None:
    from matplotlib.ticker import MaxNLocator

    values = chart.values or ()
    places = _place_values(axes, values)
    aside = ASIDE if any(isinstance(value, str) for value in values) else 0.0
    if chart.is_log:
        axes.set_xscale("log")
    elif not values and all(np.asarray(n.x).dtype.kind == "i" for n in chart.lines):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    ends = []
    for number, line in enumerate(chart.lines):
        colour = line.colour or f"C{number % 10}"
        shown = np.flatnonzero(np.isfinite(line.mean))
        if line.x is None:
            axes.axhline(line.mean[0], linestyle="--", color=colour)
            axes.axhspan(line.low[0], line.high[0], color=colour, alpha=0.12)
            x = np.full(len(line.mean), np.nan)
        else:
            x = places[np.asarray(line.x)] if values else np.asarray(line.x)
            x = x + aside * (number - (len(chart.lines) - 1) / 2)
            axes.errorbar(
                x,
                line.mean,
                np.stack([line.mean - line.low, line.high - line.mean]),
                None
                if line.x_low is None or line.x_high is None
                else np.stack([x - line.x_low, line.x_high - x]),
                fmt=line.style,
                capsize=3,
                markersize=4,
                color=colour,
            )
            for note, *place in zip(line.notes, x, line.mean, strict=False):
                _note_point(axes, note, place, colour)
        if len(chart.lines) > 1 and line.label and len(shown):
            ends.append((line.label, colour, x[shown[-1]], line.mean[shown[-1]]))
    axes.set(title=chart.title, xlabel=chart.xlabel, ylabel=chart.ylabel)
    axes.grid(alpha=0.3)
    _name_lines(axes, ends)


def _note_point(axes: "Axes", note: str, place: Sequence[float], colour: str) -> None:
    """Write a note beside a point; nothing where the point is not there."""
    if np.isfinite(place).all():
        axes.annotate(
            note,
            (place[0], place[1]),
            (3, 3),
            textcoords="offset points",
            color=colour,
            fontsize=6,
        )


def _place_values(axes: "Axes", values: Sequence[Any]) -> np.ndarray:
    """Return where each value is along x: numbers to scale, words side by side."""
    if any(isinstance(value, str) for value in values):
        axes.set_xticks(range(len(values)), [str(v) for v in values], fontsize=8)
        return np.arange(len(values), dtype=float)
    places = np.asarray(values, float)
    if len(places) and places.min() > 0 and places.max() / places.min() >= LOG_FROM:
        axes.set_xscale("log")
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.minorticks_off()
    return places


def _name_lines(axes: "Axes", ends: Sequence[tuple[str, str, float, float]]) -> None:
    """Write names on the right, and join each to where its line ends.

    Args:
        axes: With all lines.
        ends: Name, colour, x and y of each; x is NaN for one all along the chart.
    """
    low, high = axes.get_ylim()
    names = [textwrap.fill(name, 32) for name, *_ in ends]
    tallest = max((name.count("\n") + 1 for name in names), default=1)
    heights = np.array([(y - low) / (high - low) for *_, y in ends])
    places = spread_labels(heights, tallest * LABEL_HEIGHT / HEIGHT)
    for name, (_, colour, x, y), place in zip(names, ends, places, strict=True):
        is_level = np.isnan(x)
        axes.annotate(
            name,
            (1 if is_level else x, y),
            (1.03, place),
            xycoords=("axes fraction" if is_level else "data", "data"),
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "color": colour, "alpha": 0.4},
            color=colour,
            va="center",
            fontsize=7,
            annotation_clip=False,
        )
