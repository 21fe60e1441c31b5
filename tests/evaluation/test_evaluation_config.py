import re

import numpy as np
import pytest
from linear_models import (
    PROMPTS,
    ColourEncoder,
    ColourJudge,
    make_evaluation,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.evaluation import Variant, read_queries, variants_of_rows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_samples": 1}, "evaluation.num_samples must be 2 or more, got 1"),
        ({"num_prompts": 0}, "evaluation.num_prompts must be 1 or more or null, got 0"),
        ({"confidence": 1.0}, "evaluation.confidence must be above 0 and below 1"),
        ({"timing_prompt": " "}, "evaluation.timing_prompt must be some text, got ' '"),
        (
            {"rows": {"fast": {"steps": 3}}},
            "evaluation.rows.fast.steps is not a parameter. Known here: prior, sampler",
        ),
        (
            {"rows": {"fast": {"prior": "teacher"}}},
            "evaluation.rows.fast.prior must be one of prior, prior_best, student, got",
        ),
        ({"rows": {"fast": None}}, "rows.fast must be settings of sampling, got None"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make_evaluation(**changes)


def test_rows_change_what_they_name_and_keep_the_rest():
    rows = {"fast": {}, "slow": {"prior": "student", "num_steps": 20}}
    assert variants_of_rows(make_sampling(), rows) == {
        "fast": Variant("prior", make_sampling()),
        "slow": Variant("student", make_sampling(num_steps=20)),
    }
    with pytest.raises(InputError, match=r"evaluation.rows.slow: .*eta must be 0 to 1"):
        variants_of_rows(make_sampling(), {"slow": {"eta": 3.0}})


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
