"""The buffers of the noise schedule in a published checkpoint.

DALLE2-pytorch 0.2.38 stores what it derives from the betas; all of it follows from
alpha_bar (Ho et al. 2020, Eqs. 4, 6 and 7). Its average of the weights averages the
buffers too, old * beta + (1 - beta) * new in float32, and so rounding moves constants.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from clip2latent_kedro.schedules import SCHEDULES

# The original respaces a prior in place, and what it changes may have been saved.
RESPACED = ("posterior_variance", "posterior_mean_coef1", "posterior_mean_coef2")
# How far an average may have moved a constant. At ema_beta 0.99999 rounding takes it
# 1.35e-3 away within 40,000 updates, where it stays; another schedule is 0.9 away.
DRIFT = 5e-3
_ABSOLUTE = 1e-7  # what float32 leaves of numbers about 1
_RESPACED_ABSOLUTE = 1e-5  # and of differences between them
_LEAST_VARIANCE = 1e-20
SAMPLED_BUFFERS = ("alphas_cumprod", "posterior_log_variance_clipped")


def schedule_buffers(alpha_bar: Tensor) -> dict[str, Tensor]:
    """Return the buffers by name, [T] float32 each, of alpha_bar, [T] float64."""
    previous = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
    variance, coef1, coef2 = _posterior(alpha_bar, previous)
    buffers = {
        "betas": 1 - alpha_bar / previous,
        "alphas_cumprod": alpha_bar,
        "alphas_cumprod_prev": previous,
        "sqrt_alphas_cumprod": alpha_bar.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - alpha_bar).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - alpha_bar).log(),
        "sqrt_recip_alphas_cumprod": alpha_bar.rsqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / alpha_bar - 1).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp_min(_LEAST_VARIANCE).log(),
        "posterior_mean_coef1": coef1,
        "posterior_mean_coef2": coef2,
    }
    return {name: buffer.float() for name, buffer in buffers.items()}


def find_schedule(betas: Tensor) -> str | None:
    """Return the name of the schedule that has such betas, [T]; None if there is none.

    The names are those of `schedules.SCHEDULES`.
    """
    for name, make in SCHEDULES.items():
        if _agree(betas, schedule_buffers(make(len(betas)))["betas"]).all():
            return name
    return None


def differing_buffer(stored: Mapping[str, Tensor], alpha_bar: Tensor) -> str | None:
    """Return the first buffer that is not that of the schedule; None if all are.

    An entry t of the posterior's may also be that of a step from t to t - skip, for
    a skip that divides t and the number of timesteps T, in the schedule or in the
    stored alpha_bar.

    Args:
        stored: All buffers, [T] each.
        alpha_bar: The schedule, [T] float64.
    """
    for name, expected in schedule_buffers(alpha_bar).items():
        agrees = _agree(stored[name], expected)
        if name in RESPACED:
            for levels in (alpha_bar, stored["alphas_cumprod"]):
                agrees |= _agree_respaced(stored[name], levels, RESPACED.index(name))
        if not agrees.all():
            return name
    return None


def _posterior(alpha_bar: Tensor, previous: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return variance and the weights of x0 and x_t of q(x_prev | x_t, x0)."""
    alpha = alpha_bar / previous
    variance = (1 - alpha) * (1 - previous) / (1 - alpha_bar)
    coef1 = (1 - alpha) * previous.sqrt() / (1 - alpha_bar)
    coef2 = (1 - previous) * alpha.sqrt() / (1 - alpha_bar)
    return variance, coef1, coef2


def _agree(stored: Tensor, expected: Tensor, absolute: float = _ABSOLUTE) -> Tensor:
    return torch.isclose(stored, expected.float(), rtol=DRIFT, atol=absolute)


def _agree_respaced(stored: Tensor, alpha_bar: Tensor, part: int) -> Tensor:
    """Return which entries belong to some respacing, [T] bool."""
    num = len(alpha_bar)
    agrees = torch.zeros(num, dtype=torch.bool)
    for skip in (k for k in range(1, num + 1) if num % k == 0):
        levels = alpha_bar[::skip]
        previous = torch.cat([levels.new_ones(1), levels[:-1]])
        expected = _posterior(levels, previous)[part]
        agrees[::skip] |= _agree(stored[::skip], expected, _RESPACED_ABSOLUTE)
    return agrees
