"""From the settings to the sampler that they name."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.samplers.config import SamplingConfig
from clip2latent_kedro.samplers.ddim import sample_ddim
from clip2latent_kedro.samplers.ddpm import sample_ddpm
from clip2latent_kedro.samplers.dpmpp import sample_dpmpp_2m
from clip2latent_kedro.samplers.unipc import sample_unipc
from clip2latent_kedro.schedules import karras_timesteps, respaced_timesteps

SAMPLERS: dict[str, Callable[..., Tensor]] = {
    "ddpm": sample_ddpm,
    "ddim": sample_ddim,
    "dpmpp_2m": sample_dpmpp_2m,
    "unipc": sample_unipc,
}


def plan_timesteps(config: SamplingConfig, alpha_bar: Tensor) -> list[int]:
    """Return the timesteps that the configured sampler visits, falling.

    Evenly spaced, clip2latent starts a respaced ddpm at T - T / num_steps; the
    others start at T - 1.

    Args:
        config: How latents are sampled.
        alpha_bar: Cumulative signal levels that the prior was trained with, [T].

    Raises:
        InputError: If `num_steps` does not suit T.
    """
    if config.spacing == "karras":
        return karras_timesteps(alpha_bar, config.num_steps)
    return respaced_timesteps(
        len(alpha_bar),
        config.num_steps,
        spacing="leading" if config.sampler == "ddpm" else "trailing",
    )


def choose_sampler(
    config: SamplingConfig,
    alpha_bar: Tensor,
    *,
    stored: tuple[Tensor, Tensor] | None = None,
) -> Callable[..., Tensor]:
    """Return the configured sampler, called as `(denoise, x_T, generator=...)`.

    It returns x0, [n, num_latents, d], normalised, of a denoiser (x_t, t) ->
    prediction of x0, of pure noise x_T, likewise, and of the noise of the stochastic
    samplers. Guidance lies in `denoise`; the condition and truncation are the caller's.

    Args:
        config: How latents are sampled.
        alpha_bar: Cumulative signal levels that the prior was trained with, [T].
        stored: `DiffusionPrior.stored_schedule`.

    Raises:
        InputError: If `num_steps` does not suit the prior's timesteps.
    """
    own_settings: dict[str, dict[str, Any]] = {
        "ddpm": {"variance": config.variance, "stored": stored},
        "ddim": {"eta": config.eta},
    }
    return partial(
        torch.no_grad()(SAMPLERS[config.sampler]),
        timesteps=plan_timesteps(config, alpha_bar),
        alpha_bar=alpha_bar,
        **own_settings.get(config.sampler, {}),
    )
