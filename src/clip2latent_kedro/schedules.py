"""Noise schedules, and the timesteps that a sampler visits."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError

Spacing = Literal["leading", "trailing"]

BETA_MAX = 0.999


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
    num_timesteps: int, num_steps: int, *, spacing: Spacing = "leading"
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
    if not 1 <= num_steps <= num_timesteps:
        msg = (
            f"num_steps must be 1 to the {num_timesteps} timesteps that the prior was "
            f"trained with, got {num_steps}. Change sampling.num_steps."
        )
        raise InputError(msg)
    if spacing == "trailing":
        skip = num_timesteps / num_steps
        return [round(num_timesteps - i * skip) - 1 for i in range(num_steps)]
    if num_timesteps % num_steps:
        msg = (
            f"num_steps must divide the {num_timesteps} timesteps of the prior for the "
            f"ddpm sampler, got {num_steps}. Change sampling.num_steps, or use "
            f"sampling.sampler: ddim or dpmpp_2m."
        )
        raise InputError(msg)
    return list(range(0, num_timesteps, num_timesteps // num_steps))[::-1]


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
