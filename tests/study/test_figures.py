from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation

from clip2latent_kedro.study.figures import (
    Chart,
    Line,
    plot_charts,
    read_intervals,
    spread_labels,
)

RNG = np.random.default_rng(0)


def make_line(label, mean, x=None, half=0.1):
    mean = np.asarray(mean, float)
    x = range(len(mean)) if x is None else x
    return Line(label, x, mean, mean - half, mean + 2 * half)


def plot_lines(*lines, **changes):
    figure = plot_charts([[Chart(lines, "x", "y", **changes)]])
    (axes,) = figure.axes
    return axes


@pytest.mark.parametrize("num", [0, 1, 2, 30])
def test_places_keep_their_order_and_their_distance(num):
    places = RNG.choice(RNG.uniform(size=5), num)
    spread = spread_labels(places, 0.05)
    order = np.argsort(places, kind="stable")
    gaps = np.diff(spread[order])
    assert (gaps >= min(0.05, 1 / max(1, num - 1)) - 1e-9).all()
    assert ((spread > -1e-9) & (spread < 1 + 1e-9)).all()


def test_places_that_are_far_apart_stay_where_they_are():
    places = np.array([0.9, 0.1, 0.5])
    np.testing.assert_allclose(spread_labels(places, 0.05), places)


def test_intervals_are_those_of_the_table():
    table = pd.DataFrame({"a": [1.0, 2.0], "a_low": [0.5, 1.0], "a_high": [3.0, 4.0]})
    line = Line("", [0, 1], *read_intervals(table, "a"))
    ((mean, _, (bars,)),) = plot_lines(line).containers
    assert np.array_equal(mean.get_ydata(), table["a"])
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, table[["a_low", "a_high"]])


def test_points_may_have_intervals_along_x_and_notes():
    x = np.array([0.2, 0.4, 0.6])
    line = replace(
        make_line("", [1.0, np.nan, 3.0], x),
        x_low=x - 0.1,
        x_high=x + 0.05,
        notes=["a", "b", "c"],
    )
    axes = plot_lines(line)
    ((_, _, (along, _)),) = axes.containers
    ends = [segment[:, 0].tolist() for segment in along.get_segments() if len(segment)]
    np.testing.assert_allclose([ends[0], ends[-1]], [[0.1, 0.25], [0.5, 0.65]])
    notes = {one.get_text(): one.xy for one in axes.texts}
    assert notes == {"a": (0.2, 1.0), "c": (0.6, 3.0)}


def test_names_do_not_lie_on_each_other_and_point_to_the_last_point():
    """Also of twenty methods that score and cost about the same."""
    means = RNG.normal(0.5, 1e-3, 20)
    lines = [make_line(f"method {n}", [mean], [0.01]) for n, mean in enumerate(means)]
    broken = make_line("broken off", [0.2, 0.4, np.nan], [0.01, 0.1, 1])
    axes = plot_lines(*lines, broken, make_line("", [0.3], [1]), is_log=True)
    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()
    names = [one for one in axes.get_children() if isinstance(one, Annotation)]
    assert len(names) == len(lines) + 1
    boxes = [
        super(Annotation, one).get_window_extent(canvas.get_renderer()) for one in names
    ]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    ends = {one.get_text(): one.xy for one in names}
    assert ends["method 3"] == (0.01, means[3])
    assert ends["broken off"] == (0.1, 0.4)


@pytest.mark.parametrize(
    ("values", "places", "scale"),
    [
        ([1.0, 2.0, 4.0], [1, 2, 4], "linear"),
        ([1, 10, 1000], [1, 10, 1000], "log"),
        ([0, 10, 1000], [0, 10, 1000], "linear"),  # 0 has no place among powers
        (["few", "some", "all"], [0, 1, 2], "linear"),
    ],
)
def test_numbers_are_drawn_to_scale_and_words_side_by_side(values, places, scale):
    axes = plot_lines(make_line("", [1, 2, 3]), values=values)
    assert np.array_equal(axes.containers[0][0].get_xdata(), places)
    assert axes.get_xscale() == scale
    if isinstance(values[0], str):
        assert [label.get_text() for label in axes.get_xticklabels()] == values


def test_lines_over_words_stand_aside_of_each_other():
    axes = plot_lines(make_line("a", [1, 2]), make_line("b", [1, 2]), values=["p", "q"])
    first, second = (container[0].get_xdata() for container in axes.containers)
    assert (first < [0, 1]).all()
    np.testing.assert_allclose(first + second, [0, 2])


def test_what_has_no_place_holds_all_along_the_chart():
    level = Line("apart", None, *np.array([[0.5], [0.4], [0.7]]))
    axes = plot_lines(make_line("a", [1.0]), level)
    (along,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert along.get_ydata() == [0.5, 0.5]
    (band,) = axes.patches
    assert (band.get_y(), band.get_height()) == pytest.approx((0.4, 0.3))


def test_charts_stand_in_rows():
    chart = Chart([make_line("", [1.0])], "x", "y")
    places = [
        (place.rowspan.start, place.colspan.start)
        for place in (
            axes.get_subplotspec() for axes in plot_charts([[chart] * 2, [chart]]).axes
        )
    ]
    assert places == [(0, 0), (0, 1), (1, 0)]
    assert plot_charts([]).axes == []
