"""Guidance on two Gaussians: a narrow one with the condition, a wide one without."""

from dataclasses import dataclass, replace

import pytest
import torch
from world import seeded

from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.samplers import (
    SAMPLERS,
    SamplingConfig,
    choose_sampler,
    plan_timesteps,
)
from clip2latent_kedro.samplers.ddpm import posterior_std
from clip2latent_kedro.samplers.guidance import guidance_scales
from clip2latent_kedro.schedules import cosine_alpha_bar, visited_levels

CONFIG = SamplingConfig(sampler="ddim", num_steps=10, guidance_scale=0.6)
ALPHA_BAR = cosine_alpha_bar(1000)
NUM, DIM = 6, 3


@dataclass(frozen=True)
class Gaussian:
    mean: torch.Tensor
    std: float

    def denoise(self, x_t, t):
        bar = ALPHA_BAR[t]
        gain = bar.sqrt() * self.std**2 / (bar * self.std**2 + 1 - bar)
        return self.mean + gain * (x_t - bar.sqrt() * self.mean)


class TwoGaussians(torch.nn.Module):
    """E[x0 | x_t, condition] of x0 ~ N(condition, 0.3^2), or without of N(0, 1)."""

    def forward(self, x_t, t, condition, keep):
        answers = []
        for row, (x, step) in enumerate(zip(x_t, t.tolist(), strict=True)):
            world = Gaussian(condition[row], 0.3)
            if not keep[row]:
                world = Gaussian(torch.zeros_like(condition[row]), 1.0)
            answers.append(world.denoise(x, step))
        return torch.stack(answers)


@pytest.fixture
def condition():
    return torch.randn(NUM, DIM, generator=seeded(1), dtype=torch.float64)


@pytest.fixture
def start():
    return torch.randn(NUM, 1, DIM, generator=seeded(1), dtype=torch.float64)


@pytest.fixture
def draw(condition, start):
    """Sample a prior of the two Gaussians, as the whole project does."""
    statistics = LatentStatistics(torch.zeros(1, DIM), torch.ones(1, DIM))
    prior = DiffusionPrior(TwoGaussians(), ALPHA_BAR, statistics)

    def run(config):
        denoise = prior.denoiser(condition, guidance_scales(ALPHA_BAR, config))
        return choose_sampler(config, ALPHA_BAR)(denoise, start, generator=seeded(1))

    return run


@pytest.fixture
def alone(condition, start):
    """Sample either Gaussian without any guidance."""

    def run(config, *, conditional):
        mean = condition[:, None] if conditional else torch.zeros_like(start)
        world = Gaussian(mean, 0.3 if conditional else 1.0)
        return choose_sampler(config, ALPHA_BAR)(
            world.denoise, start, generator=seeded(1)
        )

    return run


def run_cfgpp(config, condition, x_t, eta):
    """Follow Algorithm 2 of CFG++ line by line, with fresh noise for eta above 0."""
    with_text = Gaussian(condition[:, None], 0.3)
    without = Gaussian(torch.zeros_like(x_t), 1.0)
    noise = seeded(1)
    timesteps = plan_timesteps(config, ALPHA_BAR)
    levels = visited_levels(ALPHA_BAR, timesteps)
    for step, t in enumerate(timesteps):
        bar_t, bar_prev = levels[step], levels[step + 1]

        def eps_of(world, x_t=x_t, t=t, bar_t=bar_t):
            x0 = world.denoise(x_t, t)
            return (x_t - bar_t.sqrt() * x0) / (1 - bar_t).sqrt()

        eps_u, eps_c = eps_of(without), eps_of(with_text)
        eps = eps_u + config.guidance_scale * (eps_c - eps_u)
        x0 = (x_t - (1 - bar_t).sqrt() * eps) / bar_t.sqrt()
        std = eta * posterior_std(bar_t, bar_prev)
        x_t = bar_prev.sqrt() * x0 + (1 - bar_prev - std**2).sqrt() * eps_u
        if std > 0:
            fresh = torch.randn(x_t.shape, generator=noise, dtype=x_t.dtype)
            x_t = x_t + std * fresh
    return x_t


@pytest.mark.parametrize("spacing", ["uniform", "karras"])
@pytest.mark.parametrize("num_steps", [1, 2, 10, 50])
@pytest.mark.parametrize("guidance_scale", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("settings", "eta"),
    [
        ({"sampler": "ddim", "eta": 0.0}, 0.0),
        ({"sampler": "ddim", "eta": 0.7}, 0.7),
        ({"sampler": "ddpm"}, 1.0),
    ],
)
def test_cfgpp_is_its_algorithm(
    draw, condition, start, settings, eta, guidance_scale, num_steps, spacing
):
    config = replace(
        CONFIG,
        **settings,
        guidance="cfgpp",
        guidance_scale=guidance_scale,
        num_steps=num_steps,
        spacing=spacing,
    )

    expected = run_cfgpp(config, condition, start, eta)

    torch.testing.assert_close(draw(config), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    ("settings", "conditional"),
    [
        ({"guidance_scale": 1.0}, True),
        ({"guidance_scale": 0.0}, False),
        ({"guidance": "cfgpp", "guidance_scale": 0.0}, False),
        ({"guidance_interval": [0.9991, 0.9992]}, True),  # no timestep lies within
        ({"guidance": "cfgpp", "guidance_interval": [0.9991, 0.9992]}, True),
    ],
)
def test_where_guidance_is_one_of_its_two_worlds(
    draw, alone, sampler, settings, conditional
):
    config = replace(CONFIG, sampler=sampler, **settings)

    assert torch.equal(draw(config), alone(config, conditional=conditional))


@pytest.mark.parametrize(
    ("interval", "guided"),
    [
        ([0.0, 1.0], [999, 749, 499, 249]),
        ([0.0, 0.5], [499, 249]),
        ([0.5, 1.0], [999, 749]),
        ([499 / 999, 749 / 999], [749, 499]),
    ],
)
def test_the_interval_is_a_part_of_the_schedule(interval, guided):
    config = replace(
        CONFIG, num_steps=4, guidance_scale=3.0, guidance_interval=interval
    )

    scales = guidance_scales(ALPHA_BAR, config)

    assert list(scales) == [999, 749, 499, 249]
    assert scales == {t: 3.0 if t in guided else 1.0 for t in scales}
