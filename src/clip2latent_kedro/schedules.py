"""Noise schedules, and the timesteps that a sampler visits."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError

EvenSpacing = Literal["leading", "trailing"]

BETA_MAX = 0.999
KARRAS_SIGMA_MAX = 10.0
KARRAS_RHO = 7.0


def cosine_alpha_bar(num_timesteps: int, s: float = 0.008) -> Tensor:
    """Return the cosine schedule's cumulative signal levels.

    f(t) = cos^2(pi/2 * (t / T + s) / (1 + s)), alpha_bar_t = f(t) / f(0), with
    betas clipped at 0.999 (Nichol and Dhariwal 2021, Eq. 17), for t = 1, ..., T.

    Args:
        num_timesteps: T.
        s: Offset that keeps the first step from being too small.

    Returns:
        alpha_bar, [T] float64, falling within (0, 1).
    """
    u = torch.arange(num_timesteps + 1, dtype=torch.float64) / num_timesteps
    f = torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2
    return _alpha_bar(1 - f[1:] / f[:-1])


def linear_alpha_bar(num_timesteps: int) -> Tensor:
    """Return the linear schedule's cumulative signal levels (Ho et al. 2020, Sec. 4).

    The betas run from 1e-4 to 0.02 at T = 1000 and scale with 1000 / T.

    Args:
        num_timesteps: T.

    Returns:
        alpha_bar, [T] float64, falling within (0, 1).
    """
    scale = 1000 / num_timesteps
    start, end = scale * 1e-4, scale * 0.02
    return _alpha_bar(torch.linspace(start, end, num_timesteps, dtype=torch.float64))


def _alpha_bar(betas: Tensor) -> Tensor:
    return torch.cumprod(1 - betas.clamp(0, BETA_MAX), dim=0)


SCHEDULES: dict[str, Callable[[int], Tensor]] = {
    "cosine": cosine_alpha_bar,
    "linear": linear_alpha_bar,
}


def respaced_timesteps(
    num_timesteps: int, num_steps: int, *, spacing: EvenSpacing = "leading"
) -> list[int]:
    """Return the timesteps that a sampler visits, falling.

    Args:
        num_timesteps: T of the schedule.
        num_steps: How many of them to visit, 1 to T.
        spacing: `leading` is clip2latent's own, 0, skip, 2 * skip, ... with
            skip = T / num_steps, which must divide; sampling then starts at
            T - skip. `trailing` starts at T - 1, where x_T really is noise, and
            takes any number: T - 1, T - 1 - skip, ..., rounded (Lin et al. 2024).

    Returns:
        `num_steps` distinct timesteps within [0, T - 1].

    Raises:
        InputError: If `num_steps` is out of range, or does not divide for `leading`.
    """
    _check_num_steps(num_timesteps, num_steps)
    if spacing == "trailing":
        skip = num_timesteps / num_steps
        return [round(num_timesteps - i * skip) - 1 for i in range(num_steps)]
    if num_timesteps % num_steps:
        msg = (
            f"num_steps must divide the {num_timesteps} timesteps of the prior for the "
            f"ddpm sampler, got {num_steps}. Change sampling.num_steps, or use "
            f"sampling.sampler: ddim, dpmpp_2m or unipc."
        )
        raise InputError(msg)
    return list(range(0, num_timesteps, num_timesteps // num_steps))[::-1]


def karras_timesteps(alpha_bar: Tensor, num_steps: int) -> list[int]:
    """Return the timesteps whose noise follows Karras et al. (2022, Eq. 5), falling.

    With sigma = sqrt((1 - alpha_bar) / alpha_bar), the noise of data that are not
    scaled down, sigma^(1/7) falls evenly to the least noise of the schedule. It falls
    from 10, or from `num_steps` if that is more: what lies above is one step from
    T - 1, whose error, of the order of 1 / sigma^2, vanishes as steps grow.

    Args:
        alpha_bar: Cumulative signal levels, [T].
        num_steps: 1 to T.

    Returns:
        `num_steps` distinct timesteps within [0, T - 1], the nearest that there are.

    Raises:
        InputError: If `num_steps` is out of range.
    """
    num_timesteps = len(alpha_bar)
    _check_num_steps(num_timesteps, num_steps)
    levels = alpha_bar.detach().double().cpu()
    sigma = ((1 - levels) / levels).sqrt()
    most = min(max(KARRAS_SIGMA_MAX, num_steps), sigma[-1].item())
    first, last = (s ** (1 / KARRAS_RHO) for s in (most, sigma[0].item()))
    ramp = torch.linspace(first, last, num_steps, dtype=torch.float64)
    distance = (KARRAS_RHO * ramp.log()[:, None] - sigma.log()).abs()
    timesteps = [num_timesteps - 1]
    for step, t in enumerate(distance.argmin(dim=1).tolist()[1:], start=1):
        steps_left = num_steps - 1 - step
        timesteps.append(max(min(t, timesteps[-1] - 1), steps_left))
    return timesteps


def _check_num_steps(num_timesteps: int, num_steps: int) -> None:
    if not 1 <= num_steps <= num_timesteps:
        msg = (
            f"num_steps must be 1 to the {num_timesteps} timesteps that the prior was "
            f"trained with, got {num_steps}. Change sampling.num_steps."
        )
        raise InputError(msg)


def visited_levels(alpha_bar: Tensor, timesteps: Sequence[int]) -> Tensor:
    """Return the signal level at each visited timestep, then 1 for the clean x0.

    Args:
        alpha_bar: [T].
        timesteps: Falling, within [0, T - 1], [num_steps].

    Returns:
        Rising levels, [num_steps + 1] float64 on the CPU, so that its scalars
        combine with latents of any dtype on any device.
    """
    levels = alpha_bar.detach().double().cpu()
    return torch.cat([levels[list(timesteps)], levels.new_ones(1)])
