"""UniPC of order 2 in its B2 form (Zhao et al. 2023, arXiv 2302.04867)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clip2latent_kedro.samplers.noise import Denoiser, NoiseSource
from clip2latent_kedro.schedules import visited_levels


def sample_unipc(
    denoise: Denoiser,
    x_T: Tensor,
    timesteps: Sequence[int],
    alpha_bar: Tensor,
    *,
    generator: NoiseSource | None = None,
) -> Tensor:
    """Return x0 by predicted and then corrected steps, deterministic.

    A step from s to t in lambda = log(alpha / sigma), of size h, solves

        x_t = (sigma_t / sigma_s) x_s + alpha_t (1 - exp(-h)) target,

    where the target is the mean of x0 over the step, weighted by exp(lambda). The
    predictor (UniP) extrapolates it from the last two predictions of x0, as
    DPM-Solver++(2M) does. The corrector (UniC) repeats the step as soon as the
    network has seen its end, and so costs no evaluation of its own; the prediction
    made there is kept. The last step ends at lambda = infinity, in the prediction.

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
    h = torch.log(alpha / sigma).diff()  # [num_steps], the last one infinite

    def advance(x_s: Tensor, target: Tensor, step: int) -> Tensor:
        shrink = sigma[step + 1] / sigma[step]
        return shrink * x_s - alpha[step + 1] * torch.expm1(-h[step]) * target

    x_s = x_t = x_T
    x0: list[Tensor] = []  # the last three predictions
    for step, t in enumerate(timesteps):
        x0 = [*x0[-2:], denoise(x_t, t)]
        if step > 0:
            x_t = advance(x_s, corrected_target(x0, h[:step]), step - 1)
        target = x0[-1]
        if 0 < step < len(timesteps) - 1:
            r = h[step - 1] / h[step]
            target = target + (target - x0[-2]) / (2 * r)
        x_s, x_t = x_t, advance(x_t, target, step)
    return x_t


def corrected_target(x0: Sequence[Tensor], h: Tensor) -> Tensor:
    """Return the mean of x0 over a step whose end is known (UniC).

    With s = 0 where the step begins and 1 where it ends, x0 is taken for the
    parabola through its values at -r, 0 and 1. Its mean under the weight exp(h s)
    follows from those of s and s^2. The first step has no x0 at -r, and takes the
    mean of its two ends.

    Args:
        x0: Predicted at the start of the step before (if there is one), at the
            start of this step, and at its end, [n, num_latents, d] each.
        h: Sizes of the steps in lambda up to this one.
    """
    start, end = x0[-2:]
    if len(x0) == 2:
        return (start + end) / 2
    r = h[-2] / h[-1]
    mean_s = -1 / torch.expm1(-h[-1]) - 1 / h[-1]
    mean_s2 = -1 / torch.expm1(-h[-1]) - 2 * mean_s / h[-1]
    before_weight = (mean_s - mean_s2) / (1 + r)
    end_weight = mean_s - before_weight
    return start + before_weight * (x0[0] - start) / -r + end_weight * (end - start)
