import json
import re
from dataclasses import asdict

import numpy as np
import pytest
import torch
from linear_models import (
    ColourJudge,
    make_model,
    make_prior,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import measure_cloud
from clip2latent_kedro.methods.digests import digest_prior
from clip2latent_kedro.study import (
    SCORES,
    Clip2Latent,
    Variant,
    draw_row,
    score_prompts,
)
from clip2latent_kedro.study.sweep import (
    SweepConfig,
    TrialResult,
    key_of,
    plan_trials,
    run_trials,
)

DRAWING = {"num_samples": 3, "image_batch_size": 64, "stored_image_size": 64, "seed": 4}
CLOUD = measure_cloud(
    torch.randn(500, 1, 3, generator=torch.Generator().manual_seed(0))
)


def make_config(**grids):
    return SweepConfig(
        num_prompts=2, num_samples=3, grids=grids, fixed=[], clip_tolerance=0.0
    )


def method_of(variant):
    model = make_model(prior=make_prior(0.5, cloud=CLOUD))
    return Clip2Latent(model=model, settings=variant.sampling)


def run(trials, make_method=method_of, **changes):
    keyed = {str(number): trial for number, trial in enumerate(trials)}
    results = run_trials(
        keyed, make_method, make_queries(), judge=ColourJudge(), **DRAWING, **changes
    )
    return dict(results)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_prompts": 0}, "sweep.num_prompts must be 1 or more, got 0"),
        ({"clip_tolerance": -1.0}, "sweep.clip_tolerance must be 0 or more, got -1"),
        ({"fixed": ["psy"]}, r"sweep.fixed.psy is not a parameter. Known here: prior"),
        ({"num_samples": 1}, "sweep.num_samples must be 2 or more, got 1"),
        (
            {"grids": {"a": {"eta": 1.0}}},
            "a.eta must be a list of values to try",
        ),
        (
            {"grids": {"a": {"eta": []}}},
            "must be a list of values to try, got []",
        ),
        ({"grids": {"a": {"eat": [1]}}}, "sweep.grids.a.eat is not a parameter. Known"),
        (
            {"grids": {"a": {"prior": ["x"]}}},
            "a.prior must be one of prior, prior_",
        ),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    settings = {
        "num_prompts": 2,
        "num_samples": 2,
        "grids": {},
        "fixed": [],
        "clip_tolerance": 0.0,
    }
    with pytest.raises(InputError, match=re.escape(message)):
        SweepConfig(**{**settings, **changes})


def test_trials_are_the_points_of_each_grid_over_the_base():
    config = make_config(
        base={},
        samplers={"sampler": ["ddim", "unipc"], "num_steps": [4, 1]},
        priors={"prior": ["student"], "guidance_scale": [3.0]},
    )
    base = make_sampling(mean_shift=0.5)
    trials = plan_trials(config, base)
    assert [(trial.grid, trial.label) for trial in trials] == [
        ("base", ""),
        *(
            ("samplers", f"sampler {sampler}, num_steps {steps}")
            for sampler in ("ddim", "unipc")
            for steps in (4, 1)
        ),
        ("priors", "prior student, guidance_scale 3.0"),
    ]
    assert trials[0].variant == Variant("prior", base)
    assert trials[2].variant == Variant(
        "prior", make_sampling(mean_shift=0.5, sampler="ddim", num_steps=1)
    )
    assert trials[-1].variant.prior == "student"
    with pytest.raises(InputError, match=r"sweep.grids.far: .*eta must be 0 to 1"):
        plan_trials(make_config(far={"eta": [0.5, 2.0]}), base)


def test_a_result_is_what_the_evaluation_would_score():
    trials = plan_trials(make_config(psi={"psi": [0.5, 1.0]}), make_sampling())
    results = run(trials)
    for result, trial in zip(results.values(), trials, strict=True):
        method = method_of(trial.variant)
        drawn = draw_row(
            method,
            make_queries(),
            encoder=method.model.encoder,
            judge=ColourJudge(),
            **DRAWING,
        )
        expected = score_prompts(drawn, make_queries(), CLOUD, [2])
        assert list(result.arrays()) == list(SCORES)
        for name, values in result.arrays().items():
            np.testing.assert_array_equal(values, expected[name], err_msg=name)
        assert result.variant == asdict(trial.variant)
        assert json.loads(json.dumps(asdict(result), allow_nan=False)) == asdict(result)
    closer, plain = (result.arrays()["w_distance"] for result in results.values())
    assert (closer < plain).all()  # psi leads towards the mean of the data


def test_a_variant_that_fails_leaves_the_others_standing():
    """20 timesteps are not divisible by 7 in ddpm, and a prior may be missing."""
    settings = {"num_steps": [5, 7, 4]}

    def make_method(variant):
        if variant.sampling.num_steps == 4:
            raise torch.OutOfMemoryError("out of memory")
        return method_of(variant)

    first, second, third = run(
        plan_trials(make_config(steps=settings), make_sampling()), make_method
    ).values()
    assert first.problem is None
    assert set(first.scores) == set(SCORES)
    assert "num_steps" in second.problem
    assert second.scores == {}
    assert third == TrialResult(third.variant, {}, "out of memory")


@pytest.mark.parametrize("error", [TypeError, KeyError, AttributeError, RuntimeError])
def test_a_fault_of_the_code_ends_the_sweep_after_what_was_finished(error):
    def make_method(variant):
        if variant.sampling.num_steps == 4:
            raise error("a slip")
        return method_of(variant)

    trials = plan_trials(make_config(steps={"num_steps": [5, 4]}), make_sampling())
    keyed = {str(number): trial for number, trial in enumerate(trials)}
    results = run_trials(
        keyed, make_method, make_queries(), judge=ColourJudge(), **DRAWING
    )
    assert next(results)[1].problem is None
    with pytest.raises(error, match="a slip"):
        next(results)


def test_what_is_done_is_not_run_again_and_results_come_one_by_one():
    trials = plan_trials(make_config(psi={"psi": [0.5, 0.7, 1.0]}), make_sampling())
    started = []

    def make_method(variant):
        started.append(variant.sampling.psi)
        return method_of(variant)

    keyed = {str(number): trial for number, trial in enumerate(trials)}
    results = run_trials(
        keyed, make_method, make_queries(), judge=ColourJudge(), done={"1"}, **DRAWING
    )
    assert next(results)[0] == "0"
    assert started == [0.5]
    assert [key for key, _ in results] == ["2"]
    assert started == [0.5, 1.0]


def test_every_variant_has_the_same_noise():
    """Without guidance, at psi -> w - mean scales by psi alone."""
    trials = plan_trials(make_config(psi={"psi": [0.5, 1.0]}), make_sampling())
    half, whole = (
        method_of(trial.variant).sample(make_queries(), num_samples=3, seed=4)
        for trial in trials
    )
    mean = make_prior().w_mean
    torch.testing.assert_close(half - mean, (whole - mean) / 2)


def test_the_key_is_that_of_prior_and_settings():
    variant = Variant("prior", make_sampling(guidance_scale=2.0))
    key = key_of(variant, {"prior": "aa", "seed": 0})
    whole = Variant("prior", make_sampling(guidance_scale=2))
    assert key_of(whole, {"seed": 0, "prior": "aa"}) == key
    different = [
        key_of(variant, {"prior": "bb", "seed": 0}),
        key_of(variant, {"prior": "aa", "seed": 1}),
        key_of(Variant("prior", make_sampling(eta=0.5)), {"prior": "aa", "seed": 0}),
    ]
    assert len({key, *different}) == 4


def test_the_digest_of_a_prior_is_that_of_what_it_samples_with():
    digest = digest_prior(make_prior(0.5))
    elsewhere = make_prior(0.5, generator_identity=Identity("other", "99"))
    assert digest_prior(elsewhere) == digest
    others = [
        make_prior(0.6),
        make_prior(0.5, embedding_statistics=None),
        make_prior(0.5, cloud=CLOUD),
        make_prior(0.5, w_mean=torch.zeros(1, 3)),
        make_prior(0.5, embed_noise_scale=0.5),
    ]
    assert len({digest, *map(digest_prior, others)}) == 6
