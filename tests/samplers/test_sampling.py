from dataclasses import replace
from typing import get_args

import pytest
import torch

from clip2latent_kedro.samplers import (
    SAMPLERS,
    SamplingConfig,
    choose_sampler,
    plan_timesteps,
)
from clip2latent_kedro.samplers.config import SamplerName
from clip2latent_kedro.samplers.ddpm import sample_ddpm
from clip2latent_kedro.schedules import karras_timesteps

CONFIG = SamplingConfig(
    sampler="ddpm",
    num_steps=4,
    guidance_scale=1.0,
    variance="upstream",
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


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

    choose_sampler(replace(CONFIG, sampler=sampler), gaussian.alpha_bar)(
        denoise, start, generator=seeded()
    )

    assert seen == visited


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_karras_spacing_reaches_every_sampler(gaussian, sampler):
    config = replace(CONFIG, sampler=sampler, spacing="karras", num_steps=7)

    timesteps = plan_timesteps(config, gaussian.alpha_bar)

    assert timesteps == karras_timesteps(gaussian.alpha_bar, 7)


def test_samplers_are_those_of_the_settings():
    assert list(SAMPLERS) == list(get_args(SamplerName))


@pytest.mark.parametrize("variance", ["upstream", "corrected"])
def test_variance_reaches_ddpm(gaussian, start, variance):
    expected = sample_ddpm(
        gaussian.denoise,
        start,
        [750, 500, 250, 0],
        gaussian.alpha_bar,
        generator=seeded(),
        variance=variance,
    )

    found = choose_sampler(replace(CONFIG, variance=variance), gaussian.alpha_bar)(
        gaussian.denoise, start, generator=seeded()
    )

    assert torch.equal(found, expected)


def test_eta_reaches_ddim(gaussian, start):
    """With eta the result depends on the generator, without it does not."""

    def draw(eta, seed):
        config = replace(CONFIG, sampler="ddim", eta=eta)
        return choose_sampler(config, gaussian.alpha_bar)(
            gaussian.denoise, start, generator=seeded(seed)
        )

    assert torch.equal(draw(0.0, 1), draw(0.0, 2))
    assert not torch.equal(draw(1.0, 1), draw(1.0, 2))
    assert torch.equal(draw(1.0, 1), draw(1.0, 1))


def test_sampling_records_no_gradient(gaussian, start):
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)

    for sampler in SAMPLERS:
        x0 = choose_sampler(replace(CONFIG, sampler=sampler), gaussian.alpha_bar)(
            lambda x_t, _t: weight * x_t, start, generator=seeded()
        )
        assert not x0.requires_grad


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
