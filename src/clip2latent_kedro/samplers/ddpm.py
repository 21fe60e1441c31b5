"""Ancestral sampling (Ho et al. 2020), with clip2latent's respacing."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clip2latent_kedro.samplers.config import Variance
from clip2latent_kedro.samplers.noise import Denoiser, NoiseSource, sample_noise
from clip2latent_kedro.schedules import visited_levels


def sample_ddpm(
    denoise: Denoiser,
    x_T: Tensor,
    timesteps: Sequence[int],
    alpha_bar: Tensor,
    *,
    generator: NoiseSource,
    variance: Variance = "corrected",
    stored: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Return x0 by drawing each step from the posterior q(x_prev | x_t, x0).

    Args:
        denoise: (x_t, t) -> prediction of x0.
        x_T: Pure noise, [n, num_latents, d].
        timesteps: Visited timesteps, falling.
        alpha_bar: Cumulative signal levels, [T].
        generator: Noise of every step but the last, which is deterministic.
        variance: `corrected` takes mean and variance for the step that is made.
            `upstream` is what the published clip2latent does: after respacing, the
            variance stays that of the single step t -> t - 1 of the full schedule,
            so that few steps are almost deterministic.
        stored: What `upstream` goes by instead of `alpha_bar` and its standard
            deviations of single steps, [T] each, where a file has its own.

    Returns:
        Samples, [n, num_latents, d], normalised.
    """
    single_std = None
    if variance == "upstream":
        alpha_bar, single_std = stored or (alpha_bar, single_step_std(alpha_bar))
    levels = visited_levels(alpha_bar, timesteps)

    x_t = x_T
    for step, t in enumerate(timesteps):
        x0 = denoise(x_t, t)
        x_t, std = ddpm_posterior(x0, x_t, levels[step], levels[step + 1])
        if step + 1 < len(timesteps):  # the last step ends at x0 itself
            if single_std is not None:
                std = single_std[t].double().cpu()
            x_t = x_t + std * sample_noise(x_t, generator)
    return x_t


def ddpm_posterior(
    x0: Tensor, x_t: Tensor, alpha_bar_t: Tensor, alpha_bar_prev: Tensor
) -> tuple[Tensor, Tensor]:
    """Return mean and std of q(x_prev | x_t, x0) (Ho et al. 2020, Eqs. 6-7).

    Args:
        x0: Predicted clean latents, [n, num_latents, d], normalised.
        x_t: Noised latents, [n, num_latents, d].
        alpha_bar_t: Cumulative signal level at t, scalar in (0, 1).
        alpha_bar_prev: Cumulative signal level at the step's end; larger, at most 1.

    Returns:
        Mean [n, num_latents, d] and standard deviation (scalar).
    """
    alpha_t = alpha_bar_t / alpha_bar_prev
    x0_weight = alpha_bar_prev.sqrt() * (1 - alpha_t) / (1 - alpha_bar_t)
    x_t_weight = alpha_t.sqrt() * (1 - alpha_bar_prev) / (1 - alpha_bar_t)
    mean = x0_weight * x0 + x_t_weight * x_t
    return mean, posterior_std(alpha_bar_t, alpha_bar_prev)


def single_step_std(alpha_bar: Tensor) -> Tensor:
    """Return the standard deviation of each step t -> t - 1, [T] float64 on the CPU."""
    levels = alpha_bar.detach().double().cpu()
    return posterior_std(levels, torch.cat([levels.new_ones(1), levels[:-1]]))


def posterior_std(alpha_bar_t: Tensor, alpha_bar_prev: Tensor) -> Tensor:
    """Return the standard deviation of q(x_prev | x_t, x0), of the levels' shape."""
    beta_t = 1 - alpha_bar_t / alpha_bar_prev
    return (beta_t * (1 - alpha_bar_prev) / (1 - alpha_bar_t)).sqrt()
