"""The results of a study are the same, whoever computes them."""

import numpy as np
import pytest
from engines import work
from study.ablation_world import make_ablation, make_base
from world import make_evaluation, make_models, make_queries, make_sampling

from clip2latent_kedro.engines import EngineConfig
from clip2latent_kedro.engines.local import LocalEngine
from clip2latent_kedro.study.engine import PlannedVariant, Variant
from clip2latent_kedro.study.evaluation import plan_rows
from clip2latent_kedro.study.run import run_study

STUDIES = {
    "noise": {"axis": "data.embed_noise_scale", "values": [0.0, 1.0]},
    "psi": {"axis": "sampling.psi", "values": [0.5, 1.0]},
}
TIMES = {"seconds", "training_seconds", "training_cpu_seconds"}


def local(workers):
    return LocalEngine("cpu", EngineConfig(workers=workers, threads=1))


def run(planned, engine):
    found = {}
    for result in run_study(planned, list(planned), engine):
        found |= result
    return found


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, (arrays, record) in expected.items():
        assert found[name][0].keys() == arrays.keys()
        for key, array in arrays.items():
            np.testing.assert_array_equal(found[name][0][key], array, err_msg=key)
        assert record.keys() == found[name][1].keys()
        for key in record.keys() - TIMES:
            assert found[name][1][key] == record[key]


def plan_ablation():
    planned = make_ablation(STUDIES).plan(make_base())
    return {one.key: one for one in planned}


def plan_evaluation():
    config = make_evaluation(rows={"fast": {}, "far": {"psi": 0.5}}, baseline="fast")
    groups = {"sampling": make_sampling()}
    return plan_rows(config, groups, make_models(), make_queries(), seed=5)[0]


@pytest.mark.parametrize("plan", [plan_ablation, plan_evaluation])
def test_two_workers_find_what_one_finds(plan):
    expected = run(plan(), local(None))
    assert all(record["problem"] is None for _, record in expected.values())
    assert_same(run(plan(), local(2)), expected)


def make_variant(label, part, mark=None):
    compute = work.compute_or_die if mark is None else work.Dying(mark)
    variant = Variant(label, {})
    return PlannedVariant(variant, {}, {"made_by": {}}, compute, parts=part)


def test_a_variant_that_fails_and_a_worker_that_dies_cost_no_other(tmp_path, caplog):
    mark = tmp_path / "mark"
    mark.touch()
    planned = {
        "good": make_variant("good", [1.0, 2.0]),
        "bad": make_variant("bad", [3.0, "bad"]),
        "dying": make_variant("dying", [4.0], mark),
    }
    found = run(planned, local(2))
    np.testing.assert_array_equal(found["good"][0]["x"], [1.0, 2.0])
    np.testing.assert_array_equal(found["dying"][0]["x"], [4.0])
    assert found["bad"][0] == {}
    assert found["bad"][1]["problem"] == "bad is no number."
    assert "A worker has died" in caplog.text
    assert not mark.exists()
