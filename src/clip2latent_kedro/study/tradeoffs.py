"""What diversity costs: scores of pictures against it, method by method.

A prompt leaves most of a picture open, and a method should answer differently there, as
pictures of the domain do; but not by leaving out what the prompt states, nor by
pictures that lie between two values. One number cannot tell which method does so best.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import pandas as pd

from clip2latent_kedro.metrics.tradeoff import find_front
from clip2latent_kedro.study.figures import Chart, Line, read_intervals
from clip2latent_kedro.study.tables import TITLES

DIVERSITY = "clip_diversity"
AGAINST = ("accuracy", "blended", "detected")
LESS_IS_BETTER = ("blended",)
MARKERS = "osD^v<>Pp*Xhd"
WITHOUT_JUDGE = ("clip_score", "held_out_score")


@dataclass(frozen=True)
class Curve:
    """Rows of a table of scores that belong together.

    Attributes:
        rows: Their positions, in the order of a setting, or one alone.
        notes: Values of the setting, in the same order; none for none.
        style: Of matplotlib: marker and line.
        colour: Of matplotlib; None for the next one.
    """

    rows: Sequence[int]
    notes: Sequence[str] = ()
    style: str = "o-"
    colour: str | None = None


def chart_tradeoffs(
    scores: pd.DataFrame, curves: Mapping[str, Curve], *, title: str = ""
) -> list[Chart]:
    """Return charts of attributes, blends and subjects found against diversity.

    Without a judge they are of the two CLIP scores. Rows without a diversity, of one
    picture each, have no place in them.

    Args:
        scores: Means with their intervals, a row for each method or variant.
        curves: Rows that are joined, by what stands beside them.
        title: Above each chart.

    Returns:
        A chart for each score that there is; none without a diversity.
    """
    return [
        Chart(_draw_lines(scores, curves, name), TITLES[DIVERSITY], TITLES[name], title)
        for name in _find_scores(scores)
    ]


def chart_fronts(
    scores: pd.DataFrame, groups: Sequence[str], labels: Sequence[str]
) -> list[Chart]:
    """Return the same charts of many variants, with the front of each.

    The front are the variants that no other surpasses, by its diversity and its score
    both: whoever chooses one that is not on it gives something away. A dashed line
    joins them, and they alone have names and intervals, which must be looked at: the
    front is of means.

    Args:
        scores: Means with their intervals, a row for each variant.
        groups: Of each row, [num_rows]; points of a group have one colour.
        labels: Of each row, [num_rows].
    """
    names = list(dict.fromkeys(groups))
    curves = {
        name: Curve(
            [n for n, group in enumerate(groups) if group == name],
            style=MARKERS[number % len(MARKERS)],
        )
        for number, name in enumerate(names)
    }
    charts = []
    for name in _find_scores(scores):
        better = -scores[name] if name in LESS_IS_BETTER else scores[name]
        rows = find_front(scores[DIVERSITY].to_numpy(), better.to_numpy())
        # A variant may stand in two groups: what is equal is one point of the front.
        points = scores.iloc[rows].reset_index()[[DIVERSITY, name]]
        rows = rows[~points.duplicated().to_numpy()]
        front = {"": Curve(rows.tolist(), style="--", colour="black")}
        lines = [
            replace(line, low=line.mean, high=line.mean, x_low=None, x_high=None)
            for line in _draw_lines(scores, {**curves, **front}, name)
        ]
        ends = {labels[row]: Curve([row], style="", colour="black") for row in rows}
        lines += _draw_lines(scores, ends, name)
        charts.append(Chart(lines, TITLES[DIVERSITY], TITLES[name]))
    return charts


def _find_scores(scores: pd.DataFrame) -> list[str]:
    """Return the scores that there are to be drawn against diversity."""
    if DIVERSITY not in scores:
        return []
    scored = [name for name in AGAINST if name in scores]
    return scored or [name for name in WITHOUT_JUDGE if name in scores]


def _draw_lines(
    scores: pd.DataFrame, curves: Mapping[str, Curve], name: str
) -> list[Line]:
    """Return the curves of one score, without the rows that lack it or a diversity."""
    lines = []
    for label, curve in curves.items():
        table = scores.iloc[list(curve.rows)]
        there = (table[name].notna() & table[DIVERSITY].notna()).tolist()
        table = table[there]
        if not len(table):
            continue
        x, x_low, x_high = read_intervals(table, DIVERSITY)
        lines.append(
            Line(
                label,
                x,
                *read_intervals(table, name),
                style=curve.style,
                colour=curve.colour,
                x_low=x_low,
                x_high=x_high,
                notes=list(compress(curve.notes, there)),
            )
        )
    return lines
