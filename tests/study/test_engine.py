"""What is due, what is run, and what comes of a variant that fails."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from world import (
    HERE,
    ColourEncoder,
    TurnedEncoder,
    make_method,
    make_models,
    make_queries,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import fit_gaussian
from clip2latent_kedro.study.engine import (
    PlannedVariant,
    Variant,
    describe_dependence,
    expand_grid,
    find_pending,
    measure_scores,
)
from clip2latent_kedro.study.run import run_study
from clip2latent_kedro.study.samples import sample_images
from clip2latent_kedro.study.scoring import SCORES, score_prompts

CLOUD = fit_gaussian(torch.randn(500, 1, 3, generator=torch.Generator().manual_seed(0)))
SAMPLING = {"num_samples": 3, "stored_image_size": 64}


def plan(label="a", compute=None, depends_on=None, **changes):
    depends_on = depends_on or {"made_by": {"code": "1"}, "psi": 1.0}
    compute = compute or (lambda part: ({"x": np.ones(1)}, {}))
    return PlannedVariant(Variant(label, {}), {}, depends_on, compute, **changes)


def failing(error):
    def compute(part):
        raise error

    return compute


def test_a_result_of_the_same_is_kept_and_any_other_is_due_with_its_reason(caplog):
    caplog.set_level("INFO")
    planned = {name: plan(name) for name in ("new", "same", "code", "failed", "old")}
    same = planned["same"].depends_on
    code = {"made_by": {"code": "0"}, "psi": 1.0}
    stored = {
        "same": ({}, {"depends_on": same, "problem": None}),
        "code": ({}, {"depends_on": code, "problem": None}),
        "failed": ({}, {"depends_on": same, "problem": "out of memory"}),
        "old": ({}, {"psi": 1.0, "problem": None}),
        "gone": ({}, {"depends_on": same, "problem": None}),
    }
    pending = ["new", "code", "failed", "old"]
    assert find_pending(planned, stored, resume=True) == pending
    assert "1 of 5 results are stored already." in caplog.text
    said = "Due again: code, made_by.code (stored '0', asked '1')."
    assert said in caplog.text
    assert "Due again: old, stored in an older form." in caplog.text
    assert find_pending(planned, stored, resume=False) == list(planned)


def test_results_come_one_by_one_and_a_stopped_run_goes_on_to_the_same():
    started = []

    def compute(name):
        started.append(name)
        return {"x": np.array(len(name))}, {"note": name}

    planned = {n: plan(n, lambda part, n=n: compute(n)) for n in ("a", "bb", "ccc")}
    run = run_study(planned, list(planned), HERE)
    assert next(run) == {}  # the folder
    first = next(run)
    assert started == ["a"]
    run.close()  # killed

    stored = dict(first)
    for result in run_study(planned, find_pending(planned, stored, resume=True), HERE):
        stored |= result
    assert started == ["a", "bb", "ccc"]
    assert {n: int(arrays["x"]) for n, (arrays, _) in stored.items()} == {
        "a": 1,
        "bb": 2,
        "ccc": 3,
    }
    record = stored["bb"][1]
    assert record["depends_on"] == planned["bb"].depends_on
    assert (record["problem"], record["note"]) == (None, "bb")
    assert record["seconds"] >= 0


def test_variants_that_share_work_are_run_one_after_another():
    planned = {
        name: plan(name, together=name[0]) for name in ("x1", "y1", "x2", "z1", "y2")
    }
    results = run_study(planned, list(planned), HERE)
    names = [name for result in results for name in result]
    assert names == ["x1", "x2", "y1", "y2", "z1"]


@pytest.mark.parametrize(
    ("error", "is_result"),
    [
        (InputError("too few"), True),
        (torch.OutOfMemoryError("out of memory"), True),
        (FloatingPointError("nan"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (TypeError("a slip"), False),
        (KeyError("a slip"), False),
        (RuntimeError("shapes cannot be multiplied"), False),
    ],
)
def test_a_failure_is_a_result_and_a_fault_of_the_code_is_none(error, is_result):
    planned = {"a": plan(), "b": plan(compute=failing(error)), "c": plan()}
    results = run_study(planned, list(planned), HERE)
    assert [next(results).keys() for _ in range(2)] == [set(), {"a"}]
    if not is_result:
        with pytest.raises(type(error)):
            next(results)
        return
    arrays, record = next(results)["b"]
    assert (arrays, record["problem"]) == ({}, str(error))
    assert next(results)["c"][1]["problem"] is None


def test_the_key_is_that_of_the_settings_and_not_of_the_code():
    def key(**changes):
        depends_on = {"made_by": {"code": "1"}, "psi": 1.0, "seed": 0, **changes}
        return plan(depends_on=depends_on).key

    assert key(psi=1) == key() == key(made_by={"code": "2"})
    assert len({key(), key(psi=0.5), key(seed=1), key(psi=[1])}) == 4


def test_a_result_depends_on_settings_models_prompts_and_code():
    def describe(models=None, method=None, settings=None, **protocol):
        method = method or make_method()
        return describe_dependence(
            models or make_models(),
            make_queries(protocol.pop("num_prompts", None)),
            method,
            settings or method.list_settings(),
            "clip2latent_kedro.study.samples",
            **protocol,
        )

    class OtherEncoder(ColourEncoder):
        identity = Identity("colour-clip", "44")

    whole = describe(seed=0)
    assert whole == json.loads(json.dumps(whole, allow_nan=False)) == describe(seed=0)
    others = {
        "settings": describe(method=make_method(psi=0.5), seed=0),
        "made_with": describe(method=make_method(make_models(0.5)), seed=0),
        "encoder": describe(make_models(encoder=OtherEncoder()), seed=0),
        "held_out_encoder": describe(make_models(held_out=TurnedEncoder()), seed=0),
        "judge": describe(make_models(judge=None), seed=0),
        "prompts": describe(num_prompts=2, seed=0),
        "seed": describe(seed=1),
    }
    for name, other in others.items():
        changed = {part for part in whole if whole[part] != other[part]}
        assert changed - {"made_by"} == {name}
    assert len(whole["made_by"]["code"]) == 64


def test_scores_are_those_of_the_samples_of_each_seed():
    models, queries = make_models(0.5, held_out=TurnedEncoder()), make_queries()
    queries = replace(queries, held_out_embedding=queries.embedding)
    methods = {seed: make_method(models, psi=0.7) for seed in (4, 5)}
    found = measure_scores(methods, queries, models, CLOUD, num_pictures=2, **SAMPLING)
    for row, (seed, method) in enumerate(methods.items()):
        samples = sample_images(method, queries, models, seed=seed, **SAMPLING)
        expected = score_prompts(samples, queries, CLOUD, [2])
        for name in SCORES:
            np.testing.assert_array_equal(found[1][name][row], expected[name])
        if not row:
            first = samples["images"][:2, 0]
            np.testing.assert_array_equal(found[1]["pictures"], first)


def test_what_is_chosen_does_not_depend_on_what_is_chosen_beside_it():
    models = make_models(1.0)
    shared = ({0: make_method(models)}, make_queries(), models, CLOUD)
    together = measure_scores(*shared, choices=[1, 2, 5], **SAMPLING)
    for number in (1, 2, 5):
        alone = measure_scores(*shared, choices=[number], **SAMPLING)[number]
        for name in SCORES:
            np.testing.assert_allclose(
                alone[name], together[number][name], rtol=1e-5, atol=1e-7
            )
    cosines = [float(together[number]["clip_score"].mean()) for number in (1, 2, 5)]
    assert cosines == sorted(cosines)
    assert cosines[2] > cosines[0]


def test_a_grid_is_the_product_of_its_values_the_last_changing_fastest():
    assert expand_grid({"a": [1, 2], "b": "xy"}) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    assert expand_grid({}) == [{}]
