import numpy as np
import pandas as pd
import pytest

from clip2latent_kedro.study.tradeoffs import Curve, chart_fronts, chart_tradeoffs

NUM_ROWS = 4


@pytest.fixture
def scores():
    """Four variants; the last has no diversity, and the third no attributes."""
    columns = {
        "clip_diversity": [0.1, 0.3, 0.2, np.nan],
        "accuracy": [0.9, 0.8, np.nan, 1.0],
        "blended": [0.4, 0.2, 0.1, 0.0],
    }
    ends = {"_low": -0.05, "_high": 0.02}
    return pd.DataFrame(
        {
            f"{name}{end}": np.array(values) + ends.get(end, 0)
            for name, values in columns.items()
            for end in ("", *ends)
        }
    )


def test_curves_have_intervals_both_ways_and_lack_what_is_not_scored(scores):
    curves = {"a": Curve([2, 0, 1], ["2", "0", "1"]), "b": Curve([3], style="s")}
    accuracy, blends = chart_tradeoffs(scores, curves, title="all")
    assert (accuracy.xlabel, accuracy.ylabel) == ("diversity, CLIP", "attributes right")
    assert (blends.ylabel, blends.title) == ("blends", "all")

    (line,) = accuracy.lines  # b has no diversity
    assert (line.label, line.notes) == ("a", ["0", "1"])
    np.testing.assert_allclose(line.x, [0.1, 0.3])
    np.testing.assert_allclose(line.x_low, [0.05, 0.25])
    np.testing.assert_allclose(line.x_high, [0.12, 0.32])
    np.testing.assert_allclose(line.mean, [0.9, 0.8])
    np.testing.assert_allclose(line.low, [0.85, 0.75])
    np.testing.assert_allclose(line.high, [0.92, 0.82])

    (line,) = blends.lines
    np.testing.assert_allclose(line.mean, [0.1, 0.4, 0.2])
    assert line.notes == ["2", "0", "1"]


def test_fewer_blends_are_better(scores):
    scores = pd.concat([scores, scores[1:2]])  # in two groups
    groups = ["one", "two", "one", "two", "three"]
    accuracy, blends = chart_fronts(scores, groups, ["a", "b", "c", "d", "e"])
    assert [line.label for line in accuracy.lines] == [
        *("one", "two", "three", "", "a", "b")
    ]
    assert all(line.x_low is None for line in accuracy.lines[:4])
    np.testing.assert_allclose(accuracy.lines[-1].x_low, [0.25])
    np.testing.assert_allclose(accuracy.lines[3].x, [0.1, 0.3])
    # 0.4 of blends at a diversity of 0.1 are surpassed twice.
    np.testing.assert_allclose(blends.lines[3].x, [0.2, 0.3])
    np.testing.assert_allclose(blends.lines[3].mean, [0.1, 0.2])
    assert [line.label for line in blends.lines[4:]] == ["c", "b"]


def test_without_a_judge_the_clip_scores_stand_against_diversity(scores):
    ends = ("", "_low", "_high")
    unjudged = scores[[f"clip_diversity{end}" for end in ends]]
    unjudged = unjudged.assign(**{f"clip_score{end}": 0.5 for end in ends})
    (chart,) = chart_tradeoffs(unjudged, {"a": Curve(range(NUM_ROWS))})
    assert chart.ylabel == "CLIP score"
    assert chart_tradeoffs(unjudged[["clip_score"]], {"a": Curve([0])}) == []
    assert (
        chart_fronts(unjudged[["clip_score"]], [""] * NUM_ROWS, [""] * NUM_ROWS) == []
    )
