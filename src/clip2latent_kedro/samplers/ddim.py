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
        x0 = denoise(x_t, t)
        eps = (x_t - bar_t.sqrt() * x0) / (1 - bar_t).sqrt()
        std = eta * posterior_std(bar_t, bar_prev)
        # x_prev = sqrt(bar_prev) x0 + sqrt(1 - bar_prev - std^2) eps + std n (Eq. 12)
        x_t = bar_prev.sqrt() * x0 + (1 - bar_prev - std**2).sqrt() * eps
        if std > 0:
            x_t = x_t + std * sample_noise(x_t, generator)
    return x_t
