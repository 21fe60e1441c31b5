import pytest
import torch

from clip2latent_kedro.samplers.ddpm import ddpm_posterior, posterior_std
from clip2latent_kedro.schedules import (
    cosine_alpha_bar,
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


@pytest.mark.parametrize(("t_prev", "expected"), [(749, 0.087), (500, 0.648)])
def test_variance_of_four_steps_differs_as_published(t_prev, expected):
    """At t = 750 upstream adds noise of 0.087 where 0.648 is right."""
    alpha_bar = cosine_alpha_bar(1000)
    std = float(posterior_std(alpha_bar[750], alpha_bar[t_prev]))
    assert std == pytest.approx(expected, abs=5e-4)
