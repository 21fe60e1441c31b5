"""Scores against what they cost: seconds, and steps on the way."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from clip2latent_kedro.pipelines.evaluation.tables import TITLES
from clip2latent_kedro.study.samples import Samples

SHOWN = ("clip_score", "held_out_score", "accuracy")
WIDTH, HEIGHT = 4.6, 4.2  # inches of one plot
MARKERS = "osD^v<>Pp*Xhd"
DPI = 110
Style = tuple[str, str]  # colour and marker of a row


def draw_scores(scores: pd.DataFrame, curves: Mapping[str, Samples]) -> Figure:
    """Return plots of the scores against seconds for an image, and against steps.

    Args:
        scores: Of `scores.summarise`.
        curves: Of rows that go step by step.
    """
    shown = [name for name in SHOWN if name in scores]
    cost = "seconds_one"  # which every row that is timed has
    timed = scores.dropna(subset=[cost]) if cost in scores else scores[:0]
    styles = {
        method: (f"C{number}", MARKERS[number % len(MARKERS)])
        for number, method in enumerate(scores["method"])
    }
    columns = len(shown) + bool(curves)
    size = (WIDTH * columns, HEIGHT + 1)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    plots = figure.subplots(1, columns, squeeze=False)[0]
    for axes, name in zip(plots, shown, strict=False):
        _draw_against_seconds(axes, timed, name, styles)
    if curves:
        _draw_against_steps(plots[-1], curves, styles)
    handles, labels = plots[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8)
    return figure


def _draw_against_seconds(
    axes: Axes, timed: pd.DataFrame, name: str, styles: Mapping[str, Style]
) -> None:
    for row in timed.to_dict("records"):
        colour, marker = styles[row["method"]]
        mean = row[name]
        spread = [[mean - row[f"{name}_low"]], [row[f"{name}_high"] - mean]]
        axes.errorbar(
            row["seconds_one"],
            mean,
            spread,
            fmt=marker,
            color=colour,
            capsize=3,
            markersize=6,
            label=row["method"],
        )
    axes.set(xscale="log", xlabel="seconds for one image", ylabel=TITLES[name])
    axes.grid(alpha=0.3, which="both")


def _draw_against_steps(
    axes: Axes, curves: Mapping[str, Samples], styles: Mapping[str, Style]
) -> None:
    """Draw the mean of all samples; dashed by the encoder that only scores."""
    for name, curve in curves.items():
        colour, marker = styles[name]
        for score, line in (("clip_score", "-"), ("held_out_score", "--")):
            if f"curve_{score}" in curve:
                means = curve[f"curve_{score}"].mean(axis=(1, 2))
                axes.plot(
                    curve["curve_steps"],
                    means,
                    line,
                    marker=marker,
                    color=colour,
                    markersize=4,
                )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    ylabel = f"{TITLES['clip_score']} (dashed: {TITLES['held_out_score']})"
    axes.set(xlabel="steps", ylabel=ylabel)
    axes.grid(alpha=0.3)
