import io
import json

import numpy as np
import pandas as pd
import pytest

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.pipelines.ablation.worlds import plot_worlds, tabulate_worlds
from clip2latent_kedro.study.tables import as_columns


def make_table(values=(0.5, 1.0), more=0.0, **scores):
    """Two lines of 0, 1 and 2, 3 along the axis, and 4 apart from it."""
    places = [("one", v) for v in values] + [("two", v) for v in values]
    names = [f"{line}, psi {value}" for line, value in places] + ["auto"]
    rows = []
    for n, (name, (line, value)) in enumerate(
        zip(names, [*places, ("auto", None)], strict=True)
    ):
        own = {key: Interval(n + more, n + more - 1, n + more + 1) for key in scores}
        rows.append(
            {
                "study": "truncation",
                "variant": name,
                "num_samples": 4,
                **as_columns(own),
                "seconds": 1.0,
                "training_seconds": 0.0,
                "axis": "sampling.psi",
                "line": line,
                "value": json.dumps(value),
                "problem": None,
            }
        )
    other = {**rows[0], "study": "other"}
    stored = pd.DataFrame([other, *rows]).to_csv(index=False)
    return pd.read_csv(io.StringIO(stored))


def drawn(axes):
    return [container[0].get_ydata().tolist() for container in axes.containers]


def test_worlds_stand_below_each_other_with_the_same_scores():
    tables = {
        "portraits": make_table(accuracy=1),
        "faces": make_table(more=10.0, accuracy=1, detected=1),
    }
    figure = plot_worlds(tables, "truncation")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["portraits", "", "faces", ""]
    assert [axes.get_ylabel() for axes in figure.axes][:2] == [
        "attributes right",
        figure.axes[3].get_ylabel(),
    ]
    upper, empty, lower, detected = figure.axes
    assert drawn(upper) == [[0, 1], [2, 3]]
    assert drawn(empty) == []
    assert drawn(lower) == drawn(detected) == [[10, 11], [12, 13]]
    (level,) = [line for line in upper.lines if line.get_linestyle() == "--"]
    assert list(level.get_ydata()) == [4, 4]
    np.testing.assert_allclose(upper.containers[0][0].get_xdata(), [0.5, 1.0])


def test_a_value_of_all_has_a_place_beside_numbers():
    (axes,) = plot_worlds(
        {"w": make_table((1000, None), accuracy=1)}, "truncation", ["accuracy"]
    ).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1000", "all"]
    assert drawn(axes) == [[0, 1], [2, 3]]


def test_a_study_that_a_world_lacks():
    with pytest.raises(InputError, match="ablation of w must have the study 'noise'"):
        plot_worlds({"w": make_table(accuracy=1)}, "noise")


def test_rows_of_all_worlds_in_one_table():
    tables = {"a": make_table(accuracy=1), "b": make_table(accuracy=1, detected=1)}
    header, *rows = tabulate_worlds(tables, "truncation").texts()
    assert header[:3] == ["world", "variant", "attributes right"]
    assert [row[0] for row in rows] == ["a"] * 5 + ["b"] * 5
    assert rows[0][1:3] == ["one, psi 0.5", "0.000 [-1.000, 1.000]"]
    assert rows[0][3] == ""
    assert rows[5][3] == "0.000 [-1.000, 1.000]"
