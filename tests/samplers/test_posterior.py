import numpy as np
import pytest
import torch

from clip2latent_kedro.samplers.ddpm import ddpm_posterior, posterior_std
from clip2latent_kedro.schedules import (
    cosine_alpha_bar,
    respaced_timesteps,
    visited_levels,
)


@pytest.mark.parametrize(
    ("bar_t", "bar_prev"), [(0.1, 0.2), (0.5, 0.9), (0.98, 0.999), (0.3, 1.0)]
)
def test_posterior_steps_between_forward_marginals(bar_t, bar_prev):
    """N(sqrt(bar_t) x0, 1 - bar_t) steps to N(sqrt(bar_prev) x0, 1 - bar_prev)."""
    x0, bar_t, bar_prev = torch.tensor([1.5, bar_t, bar_prev], dtype=torch.float64)
    x_t = bar_t.sqrt() * x0

    mean, std = ddpm_posterior(x0, x_t, bar_t, bar_prev)
    shifted, _ = ddpm_posterior(x0, x_t + 1, bar_t, bar_prev)
    gain = shifted - mean

    torch.testing.assert_close(mean, bar_prev.sqrt() * x0)
    torch.testing.assert_close(gain**2 * (1 - bar_t) + std**2, 1 - bar_prev)


@pytest.mark.parametrize("skip", [1, 10, 250])
def test_posterior_agrees_with_the_original(golden, skip):
    """The original sums in float32, which costs it 2e-4 where beta is tiny."""
    alpha_bar = cosine_alpha_bar(1000)
    timesteps = respaced_timesteps(1000, 1000 // skip)
    levels = visited_levels(alpha_bar, timesteps)
    one, zero = torch.eye(2, dtype=torch.float64)[0]

    for step, t in enumerate(timesteps):
        bar_t, bar_prev = levels[step], levels[step + 1]
        x0_weight, std = ddpm_posterior(one, zero, bar_t, bar_prev)
        x_t_weight, _ = ddpm_posterior(zero, one, bar_t, bar_prev)
        found = torch.stack([x0_weight, x_t_weight, std**2])
        names = ("posterior_mean_coef1", "posterior_mean_coef2", "posterior_variance")
        stored = [float(golden[f"skip{skip}_{name}"][t]) for name in names]
        np.testing.assert_allclose(found, stored, atol=3e-4 if skip < 250 else 1e-6)


@pytest.mark.parametrize("t", [1, 250, 500, 750, 999])
def test_upstream_std_is_that_of_the_full_schedule(golden, t):
    alpha_bar = cosine_alpha_bar(1000)
    log_variance = golden["skip250_posterior_log_variance_clipped"][t]

    std = posterior_std(alpha_bar[t], alpha_bar[t - 1])

    np.testing.assert_allclose(std, np.exp(0.5 * log_variance), rtol=1e-5)


def test_variance_of_four_steps_differs_as_published():
    """At t = 750 upstream adds noise of 0.087 where 0.648 is right."""
    alpha_bar = cosine_alpha_bar(1000)

    assert float(posterior_std(alpha_bar[750], alpha_bar[749])) == pytest.approx(
        0.087, abs=5e-4
    )
    assert float(posterior_std(alpha_bar[750], alpha_bar[500])) == pytest.approx(
        0.648, abs=5e-4
    )
