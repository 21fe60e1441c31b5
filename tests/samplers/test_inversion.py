"""DDIM inversion where every answer is known: linear denoisers, Gaussian data."""

import pytest
import torch
from world import seeded

from clip2latent_kedro.samplers.ddim import ddim_weights, sample_ddim
from clip2latent_kedro.samplers.inversion import invert_ddim
from clip2latent_kedro.schedules import (
    cosine_alpha_bar,
    respaced_timesteps,
    visited_levels,
)

ALPHA_BAR = cosine_alpha_bar(1000)


def plan(num_steps):
    return respaced_timesteps(1000, num_steps, spacing="trailing")


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("num_refinements", [0, 1, 3])
def test_a_refinement_leaves_the_share_of_the_error_that_it_says(
    slope, num_refinements
):
    """The one step t -> 0 from D = m + slope x has the known start (x0 - m) / slope."""
    x0 = torch.tensor([[0.4, -1.0, 2.0]], dtype=torch.float64)
    t, m = 700, 0.5

    x_t = invert_ddim(
        lambda x, _: m + slope * x,
        x0,
        [t],
        ALPHA_BAR,
        num_refinements=num_refinements,
    )

    keep, gain = ddim_weights(*visited_levels(ALPHA_BAR, [t]))
    guess = ALPHA_BAR[t].sqrt() * x0
    missing = x0 - keep * guess - gain * (m + slope * guess)
    left = (1 - (keep + gain * slope) / (keep + gain)) ** num_refinements
    came_to = keep * x_t + gain * (m + slope * x_t)
    torch.testing.assert_close(x0 - came_to, left * missing)


def test_plain_inversion_takes_the_noise_of_the_end_for_that_of_the_start():
    """All the network sees is noise in a third: it is the same all the way."""
    slope = 0.3
    x0 = torch.randn(4, 1, 5, generator=seeded(0), dtype=torch.float64)
    early, late = timesteps = [600, 300]

    x_T = invert_ddim(
        lambda x, _: slope * x, x0, timesteps, ALPHA_BAR, num_refinements=0
    )

    x_late = ALPHA_BAR[late].sqrt() * x0
    seen = slope * x_late
    bar_late, bar = ALPHA_BAR[late], ALPHA_BAR[early]
    eps = (x_late - bar_late.sqrt() * seen) / (1 - bar_late).sqrt()
    torch.testing.assert_close(x_T, bar.sqrt() * seen + (1 - bar).sqrt() * eps)


@pytest.mark.parametrize("num_steps", [3, 20])
def test_refined_inversion_comes_back_to_where_it_began(gaussian, start, num_steps):
    timesteps = plan(num_steps)
    x0 = sample_ddim(
        gaussian.denoise, start, timesteps, gaussian.alpha_bar, generator=seeded(0)
    )

    def error(num_refinements):
        x_T = invert_ddim(
            gaussian.denoise,
            x0,
            timesteps,
            gaussian.alpha_bar,
            num_refinements=num_refinements,
        )
        again = sample_ddim(
            gaussian.denoise, x_T, timesteps, gaussian.alpha_bar, generator=seeded(0)
        )
        return (again - x0).abs().max()

    errors = [error(n) for n in (0, 2, 40)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-2 * errors[0]


def test_inversion_nears_the_solution_of_the_ode_as_steps_grow(gaussian):
    x_T = torch.randn(6, len(gaussian.mean), generator=seeded(3), dtype=torch.float64)
    t = 800
    x0 = gaussian.ode_solution(x_T, t)

    def error(num_steps):
        timesteps = respaced_timesteps(t + 1, num_steps, spacing="trailing")
        found = invert_ddim(
            gaussian.denoise, x0, timesteps, gaussian.alpha_bar, num_refinements=0
        )
        return (found - x_T).abs().max()

    assert error(100) < 0.6 * error(50) < 0.36 * error(25)


def test_a_latent_is_inverted_the_same_beside_others(gaussian):
    x0 = torch.randn(5, len(gaussian.mean), generator=seeded(1), dtype=torch.float64)
    settings = (plan(5), gaussian.alpha_bar)
    together = invert_ddim(gaussian.denoise, x0, *settings, num_refinements=2)
    alone = [
        invert_ddim(gaussian.denoise, row[None], *settings, num_refinements=2)
        for row in x0
    ]
    torch.testing.assert_close(together, torch.cat(alone))
