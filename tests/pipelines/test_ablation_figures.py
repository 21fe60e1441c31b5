from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.pipelines.ablation.figures import plot_strip, plot_study
from clip2latent_kedro.study.ablation.config import StudySpec
from clip2latent_kedro.study.grid import DPI
from clip2latent_kedro.study.tables import as_columns

WHITE = [255, 255, 255]


def make_spec(values, axis="sampling.psi", **changes):
    lines, apart = {"text": {}, "image": {"condition": "image"}}, {"apart": {}}
    return StudySpec("name", axis, values, "title", lines=lines, apart=apart, **changes)


def make_table(spec):
    """Scores of 0, 1, 2, ... in the order of the study; the third one failed."""
    labels = [f"{line}, psi {value}" for line in spec.lines for value in spec.values]
    rows = [
        {"variant": label, **as_columns({"accuracy": Interval(n, n - 1, n + 2)})}
        for n, label in enumerate([*labels, *spec.apart])
    ]
    table = pd.DataFrame(rows, index=range(7, 7 + len(rows)), dtype=object)
    table.iloc[2, 1:] = None
    return table


@pytest.mark.parametrize(
    ("values", "places"), [([0.5, 2.0], [0.5, 2.0]), ([0.5, None], [0, 1])]
)
def test_scores_are_drawn_along_the_axis_line_by_line(values, places):
    spec = make_spec(values)
    (axes,) = plot_study(make_table(spec), spec).axes
    drawn = [container[0] for container in axes.containers]
    assert [line.get_ydata().tolist()[1] for line in drawn] == [1, 3]
    assert drawn[0].get_ydata()[0] == 0
    assert np.isnan(drawn[1].get_ydata()[0])
    for line in drawn:
        np.testing.assert_allclose(line.get_xdata(), places, atol=0.07)
    (apart,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert list(apart.get_ydata()) == [4, 4]
    (band,) = axes.patches
    assert (band.get_y(), band.get_height()) == (3, 3)
    assert axes.get_xlabel() == "sampling.psi"
    if values[1] is None:
        texts = [label.get_text() for label in axes.get_xticklabels()]
        assert texts == ["0.5", "None"]
    assert {text.get_text() for text in axes.texts} == {"text", "image", "apart"}


def test_scores_are_drawn_over_the_time_of_the_training():
    spec = make_spec([10, 40], "train.max_it", against="cpu_seconds")
    table = make_table(spec)
    table["training_cpu_seconds"] = [2.0, 8.0, None, 9.0, 5.0]
    (axes,) = plot_study(table, spec).axes
    drawn = [container[0].get_xdata().tolist() for container in axes.containers]
    assert drawn[0] == [2.0, 8.0]
    assert drawn[1][1] == 9.0
    assert drawn[2] == [5.0]  # a place of its own for what is apart
    assert axes.get_xlabel() == "CPU seconds of training"
    assert axes.get_xscale() == "log"


def test_pictures_stand_by_line_and_query_along_the_axis():
    spec = make_spec([0.5, 1.0])
    pictures = np.random.default_rng(0).integers(0, 255, (6, 2, 1, 1, 3), np.uint8)
    shown = [*pictures[:2], np.empty((0,), np.uint8), *pictures[3:5]]
    queries = SimpleNamespace(texts=["a", "b", "not shown"])
    all_queries = SimpleNamespace(texts=queries, images=queries, given=pictures[5])
    conditions = ["text", "text", "image", "image", "text"]
    strip = plot_strip(make_table(spec), spec, shown, conditions, all_queries)
    # Cells are one inch, after 2.2 of text and 0.45 of titles.
    y = (DPI * (0.45 + 0.5 + np.arange(4))).astype(int)
    x = (DPI * (2.2 + 0.5 + np.arange(4))).astype(int)
    colours = pictures[:, :, 0, 0].tolist()  # [variants, queries, 3]
    assert strip[np.ix_(y, x)].tolist() == [
        *([WHITE, colours[0][n], colours[1][n], colours[4][n]] for n in range(2)),
        *([colours[5][n], WHITE, colours[3][n], WHITE] for n in range(2)),
    ]
    nothing = plot_strip(
        make_table(spec), spec, [shown[2]] * 5, conditions, all_queries
    )
    assert nothing.shape == (1, 1, 3)
