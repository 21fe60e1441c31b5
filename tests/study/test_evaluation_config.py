import re

import numpy as np
import pytest
from world import (
    PROMPTS,
    ColourEncoder,
    ColourJudge,
    make_evaluation,
    make_queries,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.study.engine import Variant
from clip2latent_kedro.study.prompts import read_queries


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rows": {"fast": 3}},
            "rows.fast must be a group of parameters or null",
        ),
        ({"baseline": "best"}, "baseline must be one of the rows, random_w"),
        ({"only": "fast,slwo"}, "only must be names of rows, of random_w"),
        (
            {"rows": {"a": {"num_samples": True}}},
            "evaluation.rows.a.num_samples must be a whole number, 1 or more, or null",
        ),
        ({"rows": {"a/b": {}}}, "must be named in letters, digits and _ + - alone"),
        ({"rows": {"generator_images": {}}}, "cannot be named generator_images"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make_evaluation(**changes)


def test_rows_are_of_clip2latent_unless_they_say_otherwise():
    rows = {
        "fast": {"num_samples": 4, "eta": 0.5},
        "floor": {"method": "random_w", "num_prompts": 2},
        "gone": None,
    }
    config = make_evaluation(rows=rows)
    assert config.read_rows() == {
        "fast": Variant("fast", {"eta": 0.5}, num_samples=4),
        "floor": Variant("floor", {}, "random_w", num_prompts=2),
    }
    chosen = make_evaluation(rows=rows, only=" floor,")
    assert list(chosen.read_rows()) == ["floor"]


def test_queries_hold_the_prompts_and_what_they_state():
    queries = make_queries(num_prompts=2)
    assert queries.texts == ["1 0 0", "-1 0.5 0"]
    assert queries.embedding.tolist() == [[1, 0, 0], [-1, 0.5, 0]]
    assert np.array_equal(queries.stated, [[1, -1], [0, 1]])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "a text in the column `prompt` of each row, got 0 rows"),
        ([{"text": "1 0 0"}], "a text in the column `prompt` of each row"),
        ([{**PROMPTS[0], "red": "maybe"}], "states red = 'maybe', expected one of no"),
    ],
)
def test_a_wrong_table_is_refused(table, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read_queries(table, ColourEncoder(), ColourJudge.attributes, num_prompts=None)
