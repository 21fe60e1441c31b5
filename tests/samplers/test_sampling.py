import math
import re
from dataclasses import replace
from typing import get_args

import pytest
import torch
from world import seeded

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.samplers import (
    SAMPLERS,
    SamplingConfig,
    plan_timesteps,
    sample,
)
from clip2latent_kedro.samplers.config import SamplerName
from clip2latent_kedro.samplers.ddim import sample_ddim
from clip2latent_kedro.samplers.ddpm import sample_ddpm
from clip2latent_kedro.schedules import karras_timesteps

CONFIG = SamplingConfig(
    sampler="ddpm",
    num_steps=4,
    guidance_scale=1.0,
    variance="upstream",
)


@pytest.mark.parametrize(
    ("sampler", "visited"),
    [
        ("ddpm", [750, 500, 250, 0]),
        ("ddim", [999, 749, 499, 249]),
        ("dpmpp_2m", [999, 749, 499, 249]),
        ("unipc", [999, 749, 499, 249]),
    ],
)
def test_each_sampler_visits_its_timesteps_once(gaussian, start, sampler, visited):
    seen = []

    def denoise(x_t, t):
        seen.append(t)
        return gaussian.denoise(x_t, t)

    sample(
        denoise,
        start,
        gaussian.alpha_bar,
        replace(CONFIG, sampler=sampler),
        seeded(),
    )

    assert seen == visited


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_karras_spacing_reaches_every_sampler(gaussian, sampler):
    config = replace(CONFIG, sampler=sampler, spacing="karras", num_steps=7)
    expected = karras_timesteps(gaussian.alpha_bar, 7)
    assert plan_timesteps(config, gaussian.alpha_bar) == expected


def test_samplers_are_those_of_the_settings():
    assert list(SAMPLERS) == list(get_args(SamplerName))


@pytest.mark.parametrize(
    ("function", "timesteps", "settings"),
    [
        (sample_ddpm, [750, 500, 250, 0], {"variance": "upstream"}),
        (sample_ddpm, [750, 500, 250, 0], {"variance": "corrected"}),
        (sample_ddim, [999, 749, 499, 249], {"eta": 0.0}),
        (sample_ddim, [999, 749, 499, 249], {"eta": 0.7}),
    ],
)
def test_settings_reach_the_sampler(gaussian, start, function, timesteps, settings):
    denoise, alpha_bar = gaussian.denoise, gaussian.alpha_bar
    sampler = function.__name__.removeprefix("sample_")
    expected = function(
        denoise, start, timesteps, alpha_bar, generator=seeded(), **settings
    )
    config = replace(CONFIG, sampler=sampler, **settings)
    assert torch.equal(sample(denoise, start, alpha_bar, config, seeded()), expected)


def test_sampling_records_no_gradient(gaussian, start):
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)

    for sampler in SAMPLERS:
        x0 = sample(
            lambda x_t, _t: weight * x_t,
            start,
            gaussian.alpha_bar,
            replace(CONFIG, sampler=sampler),
            seeded(),
        )
        assert not x0.requires_grad


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("sampler", "euler", "one of ddpm, ddim, dpmpp_2m, unipc, got 'euler'."),
        ("spacing", "log", "one of uniform, karras, got 'log'."),
        ("variance", "full", "one of upstream, corrected, got 'full'."),
        ("guidance", "none", "one of cfg, cfgpp, got 'none'."),
        ("truncation", "soft", "one of fixed, auto, got 'soft'."),
        ("truncation_centre", "zero", "one of data_mean, w_avg, got 'zero'."),
        ("num_steps", 0, "at least 1, got 0."),
        ("eta", -0.1, "0 to 1, got -0.1."),
        ("eta", 1.1, "0 to 1, got 1.1."),
        ("guidance_scale", -1.0, "at least 0, got -1.0."),
        ("guidance_scale", math.inf, "at least 0, got inf."),
        ("guidance_interval", [0.2], "two rising numbers within 0 and 1, got [0.2]."),
        ("guidance_interval", [0.6, 0.4], "two rising numbers within 0 and 1, got"),
        ("guidance_interval", [-0.1, 0.4], "two rising numbers within 0 and 1, got"),
        ("guidance_interval", [0.1, 1.4], "two rising numbers within 0 and 1, got"),
        ("psi", math.nan, "at least 0, got nan."),
        ("psi", -0.5, "at least 0, got -0.5."),
        ("truncation_cutoff", -1, "at least 0, got -1."),
        ("truncation_quantile", 1.5, "0 to 1, got 1.5."),
        ("mean_shift", 1.5, "0 to 1, got 1.5."),
        ("noise_level", -0.1, "at least 0, got -0.1."),
        ("retrieval_share", 2.0, "0 to 1, got 2.0."),
        ("retrieval_neighbours", 0, "at least 1, got 0."),
        ("retrieval_spread", 0, "at least 1, got 0."),
        ("retrieval_spread", 2, "at most sampling.retrieval_neighbours, got 2."),
        ("retrieval_concentration", 0.0, "above 0, got 0.0."),
        ("retrieval_concentration", math.inf, "above 0, got inf."),
    ],
)
def test_settings_out_of_range_are_explained(setting, value, message):
    sentence = re.escape(f"sampling.{setting} must be {message}")
    with pytest.raises(InputError, match=f"^{sentence}"):
        replace(CONFIG, **{setting: value})


def test_cfgpp_takes_a_share():
    with pytest.raises(InputError, match="must be 0 to 1 for guidance: cfgpp"):
        replace(CONFIG, guidance="cfgpp", guidance_scale=1.5)


@pytest.mark.parametrize(
    "settings",
    [
        {"num_steps": 1, "eta": 1.0, "guidance_scale": 0.0, "psi": 0.0},
        {"guidance": "cfgpp", "guidance_scale": 1.0, "guidance_interval": [0.0, 0.0]},
        {"truncation_cutoff": 0, "truncation_quantile": 0.0, "noise_level": 0.0},
        {"retrieval_share": 1.0, "retrieval_neighbours": 5, "retrieval_spread": 5},
    ],
)
def test_the_ends_of_ranges_are_allowed(settings):
    config = replace(CONFIG, **settings)

    assert vars(config) == vars(CONFIG) | settings
