from dataclasses import replace

import numpy as np
import pytest
import torch
from world import seeded

from clip2latent_kedro.samplers.ddim import sample_ddim
from clip2latent_kedro.samplers.ddpm import sample_ddpm
from clip2latent_kedro.samplers.dpmpp import sample_dpmpp_2m
from clip2latent_kedro.samplers.unipc import corrected_target, sample_unipc
from clip2latent_kedro.schedules import karras_timesteps, respaced_timesteps

DETERMINISTIC = [sample_ddim, sample_dpmpp_2m, sample_unipc]


def plan(spacing, num_steps, alpha_bar):
    if spacing == "karras":
        return karras_timesteps(alpha_bar, num_steps)
    return respaced_timesteps(len(alpha_bar), num_steps, spacing="trailing")


def test_ddpm_draws_the_shape_of_a_mixture(mixture):
    """Kolmogorov and Smirnov: 5,000 true draws differ by 0.0276 once in a thousand."""
    start = torch.randn(5000, 1, generator=seeded(1), dtype=torch.float64)

    x0 = sample_ddpm(
        mixture.denoise,
        start,
        respaced_timesteps(1000, 250),
        mixture.alpha_bar,
        generator=seeded(2),
    )

    quantiles = mixture.cdf(x0[:, 0], 1.0).sort().values
    expected = torch.linspace(0, 1, len(quantiles), dtype=torch.float64)
    assert (quantiles - expected).abs().max() < 0.0276


@pytest.mark.parametrize("spacing", ["leading", "trailing", "karras"])
@pytest.mark.parametrize("eta", [None, 0.0, 0.5, 1.0])
def test_steps_visit_the_forward_marginals(gaussian, spacing, eta):
    """With x0 = 0 known, the variance at each visited t is 1 - alpha_bar_t.

    Steps are linear in x_T and the noises: row i follows the i-th of them alone, and
    variances are the sums of squares. None stands for ddpm.
    """
    alpha_bar = gaussian.alpha_bar
    if spacing == "karras":
        timesteps = karras_timesteps(alpha_bar, 10)
    else:
        timesteps = respaced_timesteps(1000, 10, spacing=spacing)
    sources = torch.eye(len(timesteps), dtype=torch.float64)
    sources[0] *= (1 - alpha_bar[timesteps[0]]).sqrt()
    seen = {}

    def denoise(x_t, t):
        seen[t] = x_t.square().sum()
        return torch.zeros_like(x_t)

    sampler = sample_ddpm if eta is None else sample_ddim
    settings = {} if eta is None else {"eta": eta}
    noise = iter(sources[1:, :, None])
    sampler(
        denoise, sources[0, :, None], timesteps, alpha_bar, generator=noise, **settings
    )

    for t in timesteps:
        torch.testing.assert_close(seen[t], 1 - alpha_bar[t])


@pytest.mark.parametrize(
    ("sampler", "ratio"), [(sample_ddim, 2), (sample_dpmpp_2m, 4), (sample_unipc, 8)]
)
def test_error_falls_with_the_order_of_the_sampler(
    even_gaussian, start, sampler, ratio
):
    """Twice the steps: half the error in first order, a quarter in second.

    The corrector raises the order of UniPC by one, to three.
    """
    alpha_bar = even_gaussian.alpha_bar
    exact = even_gaussian.ode_solution(start, len(alpha_bar) - 1)

    errors = []
    for num_steps in (64, 128, 256):
        timesteps = range(len(alpha_bar) - 1, -1, -1024 // num_steps)
        x0 = sampler(
            even_gaussian.denoise, start, timesteps, alpha_bar, generator=seeded()
        )
        errors.append((x0 - exact).abs().mean().item())

    assert errors[0] / errors[1] == pytest.approx(ratio, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(ratio, rel=0.05)


@pytest.mark.parametrize("sampler", [sample_ddpm, *DETERMINISTIC])
def test_one_step_is_the_first_prediction(gaussian, start, sampler):
    x0 = sampler(gaussian.denoise, start, [999], gaussian.alpha_bar, generator=seeded())

    torch.testing.assert_close(x0, gaussian.denoise(start, 999), rtol=0, atol=1e-12)


def test_the_corrector_integrates_a_parabola_exactly():
    """Against Gauss-Legendre quadrature of x0(s) exp(h s) over the step."""
    h = torch.tensor([0.7, 1.9], dtype=torch.float64)
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(40))
    s = (nodes + 1) / 2
    weights = weights * (h[1] * s).exp()

    def x0(s):
        return 2.0 - 1.5 * s + 0.8 * s**2

    r = h[0] / h[1]
    found = corrected_target([x0(-r), x0(0 * r), x0(0 * r + 1)], h)

    torch.testing.assert_close(found, (weights * x0(s)).sum() / weights.sum())


@pytest.mark.parametrize("std", [0.03, 0.1, 0.5, 2.0])
def test_karras_spacing_keeps_narrow_directions(gaussian, std):
    """Ten even steps leave a sixth of a std of 0.03; closed form, as ratios."""
    data = replace(gaussian, std=torch.full((3,), std, dtype=torch.float64))
    one = data.mean.new_ones(1, 3)

    def spread(spacing):
        timesteps = plan(spacing, 10, data.alpha_bar)
        ends = [
            sample_dpmpp_2m(data.denoise, x_T, timesteps, data.alpha_bar)
            for x_T in (one, -one)
        ]
        return (ends[0] - ends[1]) / (2 * std)

    assert ((spread("karras") - 1).abs() < 0.1).all()
    if std < 0.2:
        assert (spread("trailing") < 0.6).all()


@pytest.mark.parametrize("sampler", [sample_ddpm, *DETERMINISTIC])
def test_arguments_are_left_alone_and_dtype_kept(gaussian, start, sampler):
    single = start.float()
    before, levels = single.clone(), gaussian.alpha_bar.clone()

    x0 = sampler(
        lambda x_t, _t: 0.5 * x_t,
        single,
        respaced_timesteps(1000, 10),
        gaussian.alpha_bar,
        generator=seeded(),
    )

    assert x0.dtype == torch.float32
    assert torch.equal(single, before)
    assert torch.equal(gaussian.alpha_bar, levels)
