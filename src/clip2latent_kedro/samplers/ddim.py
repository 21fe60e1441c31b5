"""Denoising diffusion implicit models (Song et al. 2021)."""

from collections.abc import Sequence

from torch import Tensor

from clip2latent_kedro.samplers.ddpm import posterior_std
from clip2latent_kedro.samplers.noise import Denoiser, NoiseSource, sample_noise
from clip2latent_kedro.schedules import visited_levels


def sample_ddim(
    denoise: Denoiser,
    x_T: Tensor,
    timesteps: Sequence[int],
    alpha_bar: Tensor,
    *,
    generator: NoiseSource,
    eta: float = 0.0,
) -> Tensor:
    """Return x0 by first-order steps, deterministic for eta = 0.

    Args:
        denoise: (x_t, t) -> prediction of x0.
        x_T: Pure noise, [n, num_latents, d].
        timesteps: Visited timesteps, falling.
        alpha_bar: Cumulative signal levels, [T].
        generator: Noise, read only if eta > 0, for every step but the last.
        eta: Share of the posterior's standard deviation that each step adds as
            fresh noise; 1 is ancestral sampling with the corrected variance.

    Returns:
        Samples, [n, num_latents, d], normalised.
    """
    levels = visited_levels(alpha_bar, timesteps)

    x_t = x_T
    for step, t in enumerate(timesteps):
        bar_t, bar_prev = levels[step], levels[step + 1]
        std = eta * posterior_std(bar_t, bar_prev)
        keep, gain = ddim_weights(bar_t, bar_prev, std**2)
        x_t = keep * x_t + gain * denoise(x_t, t)
        if std > 0:
            x_t = x_t + std * sample_noise(x_t, generator)
    return x_t


def ddim_weights(
    alpha_bar_t: Tensor, alpha_bar_prev: Tensor, variance: Tensor | float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return the weights of x_t and x0 in a step, scalars (Song et al. 2021, Eq. 12).

    x_prev = sqrt(bar_prev) x0 + sqrt(1 - bar_prev - variance) eps + fresh noise, with
    eps = (x_t - sqrt(bar_t) x0) / sqrt(1 - bar_t).

    Args:
        alpha_bar_t: Cumulative signal level at t, scalar in (0, 1).
        alpha_bar_prev: Cumulative signal level at the step's end; larger, at most 1.
        variance: Of the fresh noise.
    """
    keep = ((1 - alpha_bar_prev - variance) / (1 - alpha_bar_t)).sqrt()
    return keep, alpha_bar_prev.sqrt() - keep * alpha_bar_t.sqrt()
