import pytest
import torch

from clip2latent_kedro.samplers.ddim import sample_ddim
from clip2latent_kedro.samplers.ddpm import sample_ddpm
from clip2latent_kedro.samplers.dpmpp import sample_dpmpp_2m
from clip2latent_kedro.schedules import respaced_timesteps


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_ddpm_draws_the_data_distribution(gaussian):
    """20,000 draws: the mean within 4 standard errors, the std within 2 percent."""
    n = 20_000
    start = torch.randn(n, 3, generator=seeded(1), dtype=torch.float64)
    timesteps = respaced_timesteps(1000, 1000)

    x0 = sample_ddpm(
        gaussian.denoise, start, timesteps, gaussian.alpha_bar, generator=seeded(2)
    )

    assert ((x0.mean(0) - gaussian.mean).abs() < 4 * gaussian.std / n**0.5).all()
    torch.testing.assert_close(x0.std(0), gaussian.std, rtol=0.02, atol=0)


def test_upstream_variance_loses_spread_with_few_steps(gaussian):
    start = torch.randn(20_000, 3, generator=seeded(1), dtype=torch.float64)
    timesteps = respaced_timesteps(1000, 4)

    spread = {
        variance: sample_ddpm(
            gaussian.denoise,
            start,
            timesteps,
            gaussian.alpha_bar,
            generator=seeded(2),
            variance=variance,
        ).std(0)
        for variance in ("upstream", "corrected")
    }

    assert (spread["upstream"] < spread["corrected"]).all()


def test_both_variances_are_one_without_respacing(gaussian, start):
    timesteps = respaced_timesteps(1000, 1000)

    upstream, corrected = (
        sample_ddpm(
            gaussian.denoise,
            start,
            timesteps,
            gaussian.alpha_bar,
            generator=seeded(),
            variance=variance,
        )
        for variance in ("upstream", "corrected")
    )

    assert torch.equal(upstream, corrected)


@pytest.mark.parametrize("num_steps", [20, 1000])
def test_ddim_with_full_eta_is_ddpm(gaussian, start, num_steps):
    timesteps = respaced_timesteps(1000, num_steps)

    ddim = sample_ddim(
        gaussian.denoise,
        start,
        timesteps,
        gaussian.alpha_bar,
        generator=seeded(),
        eta=1.0,
    )
    ddpm = sample_ddpm(
        gaussian.denoise, start, timesteps, gaussian.alpha_bar, generator=seeded()
    )

    torch.testing.assert_close(ddim, ddpm, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("sampler", "ratio"), [(sample_ddim, 2.0), (sample_dpmpp_2m, 4.0)]
)
def test_error_falls_with_the_order_of_the_sampler(
    fine_gaussian, start, sampler, ratio
):
    """Twice the steps: half the error in first order, a quarter in second."""
    alpha_bar = fine_gaussian.alpha_bar
    exact = fine_gaussian.ode_solution(start, len(alpha_bar) - 1)

    errors = []
    for num_steps in (64, 128, 256):
        timesteps = respaced_timesteps(len(alpha_bar), num_steps, spacing="trailing")
        x0 = sampler(
            fine_gaussian.denoise, start, timesteps, alpha_bar, generator=seeded()
        )
        errors.append((x0 - exact).abs().mean().item())

    assert errors[0] / errors[1] == pytest.approx(ratio, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(ratio, rel=0.2)
    assert errors[2] < 0.02


def test_second_order_needs_fewer_steps(gaussian, start):
    exact = gaussian.ode_solution(start, 999)
    timesteps = respaced_timesteps(1000, 10, spacing="trailing")
    alpha_bar = gaussian.alpha_bar

    first = sample_ddim(
        gaussian.denoise, start, timesteps, alpha_bar, generator=seeded()
    )
    second = sample_dpmpp_2m(gaussian.denoise, start, timesteps, alpha_bar)

    assert (second - exact).abs().mean() < 0.4 * (first - exact).abs().mean()


@pytest.mark.parametrize("sampler", [sample_ddim, sample_dpmpp_2m])
@pytest.mark.parametrize("num_steps", [1, 2, 10])
def test_a_constant_prediction_is_reached_exactly(start, gaussian, sampler, num_steps):
    x0 = torch.linspace(-2, 2, 3, dtype=torch.float64).expand_as(start)
    timesteps = respaced_timesteps(1000, num_steps, spacing="trailing")

    found = sampler(
        lambda _x, _t: x0, start, timesteps, gaussian.alpha_bar, generator=seeded()
    )

    torch.testing.assert_close(found, x0)


def test_two_steps_of_2m_are_first_order(gaussian, start):
    """The first step has no history, and the last falls back to first order."""
    timesteps = respaced_timesteps(1000, 2, spacing="trailing")
    alpha_bar = gaussian.alpha_bar

    second = sample_dpmpp_2m(gaussian.denoise, start, timesteps, alpha_bar)
    first = sample_ddim(
        gaussian.denoise, start, timesteps, alpha_bar, generator=seeded()
    )

    torch.testing.assert_close(second, first)


@pytest.mark.parametrize("sampler", [sample_ddpm, sample_ddim, sample_dpmpp_2m])
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


def test_recorded_noise_replays_a_generator(gaussian, start):
    timesteps = respaced_timesteps(1000, 4)
    recorder = seeded(3)
    noise = [
        torch.randn(start.shape, generator=recorder, dtype=torch.float64)
        for _ in range(3)
    ]

    def draw(source):
        return sample_ddpm(
            gaussian.denoise, start, timesteps, gaussian.alpha_bar, generator=source
        )

    assert torch.equal(draw(iter(noise)), draw(seeded(3)))
