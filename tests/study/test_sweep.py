import re

import numpy as np
import pytest
from world import compute, make_models, make_prior, make_queries, make_sampling

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import fit_gaussian
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig
from clip2latent_kedro.study.sweep import SweepConfig, plan_sweep


def make_config(**changes):
    settings = {
        "num_prompts": 2,
        "num_samples": 3,
        "num_seeds": 1,
        "grids": {},
        "only": None,
        "is_equal": False,
        "fixed": [],
        "accuracy_tolerance": 0.0,
        "blend_tolerance": 0.0,
        "clip_tolerance": 0.0,
    }
    return SweepConfig(**{**settings, **changes})


def plan(models: Models | None = None, config=None, **grids):
    return plan_sweep(
        config or make_config(grids=grids),
        {
            "sampling": make_sampling(mean_shift=0.5),
            "baselines.optimisation.strong": OptimisationConfig("mean", 3, 0.1),
        },
        models or make_models(),
        make_queries(),
        where="sweep",
        seed=4,
        stored_image_size=64,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fixed": ["psy"]}, "fixed must be names of sampler, "),
        (
            {"grids": {"a": {"eta": 1.0}}},
            "grids.a.eta must be a list of values to try, got 1.0.",
        ),
        (
            {"grids": {"a": {"eta": []}}},
            "grids.a.eta must be a list of values to try, got [].",
        ),
        (
            {"grids": {"a": {"method": "direct", "lr": [0.1]}}},
            "grids must be ways of clip2latent, without a method, got",
        ),
        (
            {"grids": {"a": {"num_samples": 0}}},
            "grids.a.num_samples must be a whole number, 1 or more, or null, got 0",
        ),
        (
            {"only": "b", "grids": {"a": {}}},
            "only must be names of grids, of a, or null",
        ),
        (
            {"is_equal": True, "grids": {"a": {"psi": [0.5, 1.0]}, "b": {}, "c": None}},
            "grids must be of as many settings each (now a 2, b 1), got",
        ),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make_config(**changes)


def test_variants_are_the_points_of_each_grid_over_the_base():
    planned = plan(
        base={},
        samplers={"sampler": ["ddim", "unipc"], "num_steps": [4, 1]},
        priors={"prior": ["student"], "guidance_scale": [3.0]},
    )
    assert [(one.variant.group, one.variant.label) for one in planned] == [
        ("base", "as it is"),
        *(
            ("samplers", f"sampler {sampler}, num_steps {steps}")
            for sampler in ("ddim", "unipc")
            for steps in (4, 1)
        ),
        ("priors", "prior student, guidance_scale 3.0"),
    ]
    base = {**vars(make_sampling(mean_shift=0.5)), "prior": "prior"}
    sampler = {"sampler": "ddim", "num_steps": 1}
    student = {"prior": "student", "guidance_scale": 3.0}
    for number, changes in ((0, {}), (2, sampler), (5, student)):
        found = {name: planned[number].settings[name] for name in {**base, **changes}}
        expected = {**base, **changes}
        expected["guidance_interval"] = list(expected["guidance_interval"])
        assert found == expected
    with pytest.raises(
        InputError,
        match=r"far.eta must be .* at most 1",
    ):
        plan(far={"eta": [0.5, 2.0]})


def test_a_variant_has_the_noise_of_the_others_and_the_cloud_of_its_prior():
    """psi scales w - mean, and so the distance from a gaussian about the same mean."""
    colours = np.random.default_rng(0).normal(size=(500, 1, 3)).astype(np.float32)
    prior = make_prior(0.5)
    import torch

    gaussian = fit_gaussian(prior.w_mean + torch.from_numpy(colours))
    models = make_models(priors={"prior": make_prior(0.5, gaussian=gaussian)})
    half, whole = (compute(one)[0] for one in plan(models, psi={"psi": [0.5, 1.0]}))
    assert half["w_distance"].shape == (1, 3)
    assert (half["w_distance"] < whole["w_distance"]).all()


def test_what_cannot_be_had_fails_when_it_is_run():
    """20 timesteps are not divisible by 7 in ddpm, and the student is not there."""
    steps, student = plan(steps={"num_steps": [7]}, prior={"prior": ["student"]})
    with pytest.raises(InputError, match="num_steps"):
        compute(steps)
    with pytest.raises(InputError, match="Run the pipeline distillation first"):
        compute(student)
    assert steps.key != student.key


def test_a_method_with_chance_is_tried_with_every_seed_and_one_without_once():
    config = make_config(
        num_seeds=2,
        is_equal=True,
        grids={
            "prior": {"guidance_scale": [1.0]},
            "search": {"method": "direct", "num_samples": 1, "lr": [0.2]},
            "squares": {"method": "direct", "num_cutouts": [2], "num_samples": 2},
        },
    )
    models = make_models(0.5)
    prior, search, squares = plan(models, config=config)
    assert [one.depends_on["seeds"] for one in (prior, search, squares)] == [
        [4, 5],
        [4],
        [4, 5],
    ]
    assert search.settings["record_steps"] == []
    both, _ = compute(prior)
    (alone,) = plan(models, guidance_scale={"guidance_scale": [1.0]})
    first, _ = compute(alone)
    np.testing.assert_array_equal(both["clip_score"][:1], first["clip_score"])
    assert both["clip_score"].shape == (2, 3)
    assert (both["clip_score"][0] != both["clip_score"][1]).all()

    found, _ = compute(search)
    assert found["clip_score"].shape == (1, 3)
    assert np.isnan(found["clip_diversity"]).all()  # of one image
    assert search.method.settings.lr == 0.2


def test_a_method_that_a_world_lacks_is_told_when_it_is_run():
    grids = {"lafite": {"method": "lafite", "psi": [0.5]}}
    (lacking,) = plan(config=make_config(is_equal=True, grids=grids))
    assert lacking.method is None
    with pytest.raises(InputError, match="There is no lafite"):
        compute(lacking)
