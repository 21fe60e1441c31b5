"""What diversity costs: scores of pictures against it, method by method.

A prompt leaves most of a picture open, and a method should answer differently there, as
pictures of the domain do; but not by leaving out what the prompt states, nor by
pictures that lie between two values. One number cannot tell which method does so best.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import pandas as pd

from clip2latent_kedro.study.figures import Chart, Line, read_intervals
from clip2latent_kedro.study.tables import TITLES

DIVERSITY = "clip_diversity"
AGAINST = ("accuracy", "blended", "detected")
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
    if DIVERSITY not in scores:
        return []
    scored = [name for name in AGAINST if name in scores] or WITHOUT_JUDGE
    return [
        Chart(_draw_lines(scores, curves, name), TITLES[DIVERSITY], TITLES[name], title)
        for name in scored
        if name in scores
    ]


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
