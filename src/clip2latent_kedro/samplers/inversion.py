"""DDIM inversion: from a clean latent to the noise that sampling draws it from."""

from collections.abc import Sequence

from torch import Tensor

from clip2latent_kedro.samplers.ddim import ddim_weights
from clip2latent_kedro.samplers.noise import Denoiser
from clip2latent_kedro.schedules import visited_levels


def invert_ddim(
    denoise: Denoiser,
    x0: Tensor,
    timesteps: Sequence[int],
    alpha_bar: Tensor,
    *,
    num_refinements: int,
) -> Tensor:
    """Return x_T from which `sample_ddim`, without fresh noise, comes back to x0.

    A step of DDIM from t to s is x_s = k x_t + c D(x_t, t) (Song et al. 2021, arXiv
    2010.02502, Eq. 12). Here its end x_s is known and its start is wanted. Plain
    inversion takes the noise that the network sees at the end for that at the start,

        x_t = sqrt(alpha_bar_t) D(x_s, s) + sqrt(1 - alpha_bar_t) eps(x_s, s),

    and no noise at all in x0. A refinement then adds what a step from there misses:

        x_t <- x_t + (x_s - k x_t - c D(x_t, t)) / (k + c).

    Where D has the slope J, this leaves a share of 1 - (k + c J) / (k + c) of the
    error, so that it converges for a J from 0 (where the data are narrow) to about 1.
    Solving the step for its x_t, x_t <- (x_s - c D(x_t, t)) / k, leaves -c J / k, which
    few steps, whose k is small, make large; the last step has k = 0.

    Args:
        denoise: (x_t, t) -> prediction of x0.
        x0: Clean latents, [n, num_latents, d], normalised.
        timesteps: Those that sampling visits, falling.
        alpha_bar: Cumulative signal levels, [T].
        num_refinements: Of each step, each one evaluation of `denoise`. 0 is plain
            inversion, with one evaluation less than there are steps.

    Returns:
        x_T at the level of the first of `timesteps`, of the shape of x0.
    """
    levels = visited_levels(alpha_bar, timesteps)
    alpha, sigma = levels.sqrt(), (1 - levels).sqrt()

    x_s = x0
    for step in reversed(range(len(timesteps))):
        keep, gain = ddim_weights(levels[step], levels[step + 1])
        x_t = alpha[step] * x_s
        if step + 1 < len(timesteps):  # else x_s is x0, without noise
            prediction = denoise(x_s, timesteps[step + 1])
            eps = (x_s - alpha[step + 1] * prediction) / sigma[step + 1]
            x_t = alpha[step] * prediction + sigma[step] * eps
        for _ in range(num_refinements):
            missing = x_s - keep * x_t - gain * denoise(x_t, timesteps[step])
            x_t = x_t + missing / (keep + gain)
        x_s = x_t
    return x_s
