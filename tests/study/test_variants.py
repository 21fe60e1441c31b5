import re

import pytest
from clip2latent_kedro.study.models import find_prior
from clip2latent_kedro.study.variants import (
    Variant,
    check_overrides,
    expand_grid,
    label_overrides,
    make_variant,
)
from linear_models import make_prior, make_sampling

from clip2latent_kedro.errors import InputError


def test_a_variant_changes_what_it_names_and_keeps_the_rest():
    base = make_sampling(mean_shift=0.5)
    assert make_variant(base, {}) == Variant("prior", base)
    overrides = {"prior": "student", "sampler": "ddim", "num_steps": 1}
    changed = make_sampling(mean_shift=0.5, sampler="ddim", num_steps=1)
    assert make_variant(base, overrides) == Variant("student", changed)
    assert overrides["prior"] == "student"  # still there
    with pytest.raises(InputError, match="eta must be 0 to 1"):
        make_variant(base, {"eta": 2.0})


def test_a_grid_is_a_product_whose_last_setting_changes_fastest():
    grid = {"sampler": ["ddim", "ddpm"], "num_steps": [4, 1, 2]}
    points = expand_grid(grid)
    assert [label_overrides(point) for point in points] == [
        f"sampler {sampler}, num_steps {steps}"
        for sampler in ("ddim", "ddpm")
        for steps in (4, 1, 2)
    ]
    assert expand_grid({}) == [{}]
    assert expand_grid({"guidance_interval": [[0, 1], [0.5, 1]]})[1] == {
        "guidance_interval": [0.5, 1]
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"steps": 3},
            "here.steps is not a parameter. Known here: prior, sampler",
        ),
        (None, "here must be settings by name, got None"),
        (
            {"prior": "teacher"},
            "here.prior must be one of prior, prior_best, student, got 'teacher'",
        ),
    ],
)
def test_overrides_of_what_there_is_not_are_refused(overrides, message):
    with pytest.raises(InputError, match=re.escape(message)):
        check_overrides("here", overrides)
    check_overrides("here", {"prior": "prior_best", "eta": 1.0})


@pytest.mark.parametrize(
    ("name", "pipeline"),
    [("prior", "training"), ("prior_best", "training"), ("student", "distillation")],
)
def test_a_missing_prior_names_the_pipeline_that_makes_it(name, pipeline):
    prior = make_prior()
    assert find_prior({name: prior}, name) is prior
    for absent in ({}, {name: {}}):
        with pytest.raises(InputError, match=f"'{name}' .*pipeline {pipeline} first"):
            find_prior(absent, name)
