"""DPM-Solver++(2M), multistep (Lu et al. 2022, arXiv 2211.01095, Algorithm 2)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clip2latent_kedro.samplers.noise import Denoiser, NoiseSource
from clip2latent_kedro.schedules import visited_levels


def sample_dpmpp_2m(
    denoise: Denoiser,
    x_T: Tensor,
    timesteps: Sequence[int],
    alpha_bar: Tensor,
    *,
    generator: NoiseSource | None = None,
) -> Tensor:
    """Return x0 by second-order steps in lambda = log(alpha / sigma), deterministic.

    The first step has no history and the last one ends at lambda = infinity: both
    are of first order.

    Args:
        denoise: (x_t, t) -> prediction of x0.
        x_T: Pure noise, [n, num_latents, d].
        timesteps: Visited timesteps, falling.
        alpha_bar: Cumulative signal levels, [T].
        generator: Never read; every sampler takes one.

    Returns:
        Samples, [n, num_latents, d], normalised.
    """
    levels = visited_levels(alpha_bar, timesteps)
    alpha, sigma = levels.sqrt(), (1 - levels).sqrt()
    lam = torch.log(alpha / sigma)
    h = lam.diff()  # [num_steps], the last one infinite

    x_t, previous_x0 = x_T, None
    for step, t in enumerate(timesteps):
        x0 = denoise(x_t, t)
        target = x0
        if previous_x0 is not None and step < len(timesteps) - 1:
            # D = (1 + 1 / 2r) x0 - (1 / 2r) x0 of the step before
            r = h[step - 1] / h[step]
            target = x0 + (x0 - previous_x0) / (2 * r)
        shrink = sigma[step + 1] / sigma[step]
        gain = -alpha[step + 1] * torch.expm1(-h[step])
        x_t, previous_x0 = shrink * x_t + gain * target, x0
    return x_t
