import numpy as np
import pandas as pd
import pytest

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.study.tables import (
    as_columns,
    describe_scores,
    difference_table,
    format_table,
    score_table,
    timing_table,
)


@pytest.mark.parametrize(
    ("row", "cell"),
    [
        ({"x": 0.5, "x_low": 0.25, "x_high": 0.75}, "+0.500 [+0.250, +0.750]"),
        ({"x": np.nan, "x_low": np.nan, "x_high": np.nan}, ""),
        ({"x": 1.0, "x_std": 0.25}, "+1.000 ± 0.250"),
        ({"x": 1.0, "x_std": np.nan}, "+1.000"),
        ({"x": 1.0, "x_error": 0.5}, "+1.000 ± 0.500"),
        ({"x": 1.0, "x_std": 0.25, "x_runs": 3.0}, "+1.000 ± 0.250 (3 runs)"),
        ({"x": 1.0, "x_std": np.nan, "x_runs": 1}, "+1.000 (1 run)"),
        ({"x": "text"}, "text"),
        ({"x": None}, ""),
    ],
)
def test_a_column_stands_with_what_is_known_of_it(row, cell):
    table = pd.DataFrame([row])
    formatted = format_table("", table, {"x": "X", "absent": "Y"}, sign="+")
    assert formatted.texts() == [["X"], [cell]]


def test_cells_keep_the_numbers_that_they_are_written_of():
    row = {"x": 1 / 3, "x_low": 0.25, "x_high": 0.5, "y": 3.0, "y_std": 0.5, "z": "1"}
    table = format_table("c", pd.DataFrame([row]), dict(zip("xyz", "xyz", strict=True)))
    x, y, z = table.rows[0]
    assert (x.value, x.low, x.high, x.text) == (1 / 3, 0.25, 0.5, "0.333")
    assert (y.value, y.low, y.high) == (3.0, 2.5, 3.5)
    assert (z.value, z.low) == (1.0, None)


def test_a_table_leads_to_rows_of_another_and_its_columns_say_what_they_are():
    row = {"method": "a", **as_columns({"accuracy": Interval(0.1, -0.1, 0.3)})}
    table = difference_table("", pd.DataFrame([row]), link="scores")
    assert table.rows[0][0].link == ("scores", "a")
    assert table.columns[1].has_zero
    assert "judge" in table.columns[1].meaning


def test_scores_of_one_picture_are_words_where_they_are_yes_or_no():
    scores = {"clip_score": 0.25, "accuracy": np.nan, "blended": 0.0, "detected": 1.0}
    assert describe_scores(scores) == {
        "CLIP score": "0.250",
        "a blend": "no",
        "subject found": "yes",
    }


def test_scores_stand_with_numbers_of_images_and_seconds():
    intervals = {"clip_score": Interval(0.5, 0.25, 0.75)}
    scored = {"num_samples": 3, **as_columns(intervals)}
    full = {"num_images": 9000.0, "kid": 0.1, "kid_error": 0.2, "fid": 2.0}
    timed = {"seconds": 8.0, "seconds_std": np.nan, "seconds_runs": 1.0}
    rows = [
        {"method": "a", **scored, **full, "fid_images": 9000.0},
        {"method": "1", **scored, **timed, "timing_images": 4, "problem": None},
    ]
    table = score_table("", pd.DataFrame(rows).astype({"method": object}))
    assert table.texts() == [
        [
            "method",
            "samples",
            "CLIP score",
            "images",
            "KID",
            "FID (9,000 images)",
            "4 images, s",
        ],
        ["a", "3", "0.500 [0.250, 0.750]", "9,000", "0.100 ± 0.200", "2.000", ""],
        ["1", "3", "0.500 [0.250, 0.750]", "", "", "", "8.000 (1 run)"],
    ]
    failed = pd.DataFrame(rows).assign(problem=["too slow", None])
    assert [row[-1] for row in score_table("", failed).texts()] == [
        "problem",
        "too slow",
        "",
    ]


def test_differences_have_a_sign_and_may_be_none():
    apart = as_columns({"accuracy": Interval(0.1, -0.1, 0.3)})
    table = pd.DataFrame([{"method": 4, "baseline": "b", **apart}])
    cells = [["method", "attributes right"], ["4", "+0.100 [-0.100, +0.300]"]]
    assert difference_table("", table).texts() == cells
    empty = pd.DataFrame(columns=["method", "baseline"])
    assert difference_table("", empty).texts() == [["method"]]


def test_seconds_of_all_stages_stand_with_their_spread():
    once = {"prior": [1.0], "synthesis": [0.5], "reranking": [0.25]}
    twice = {"prior": [1.0, 2.0], "synthesis": [0.5, 0.5], "reranking": [0.0, 1.0]}
    timings = {
        "protocol": {"timing_images": 16},
        "seconds": {"a": twice},
        "seconds_one": {"a": once, "b": once},
    }
    header = ["method", "images", "prior", "synthesis", "reranking", "together", "runs"]
    of_one = ["1", "1.000", "0.500", "0.250", "1.750", "1"]
    assert timing_table("", timings).texts() == [
        header,
        [
            "a",
            "16",
            "1.500 ± 0.707",
            "0.500 ± 0.000",
            "0.500 ± 0.707",
            "2.500 ± 1.414",
            "2",
        ],
        ["a", *of_one],
        ["b", *of_one],
    ]
    nothing = {**timings, "seconds": {}, "seconds_one": {}}
    assert timing_table("", nothing).texts() == [header]
