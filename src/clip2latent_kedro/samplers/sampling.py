"""From the settings to the sampler that they name."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.samplers.config import SamplingConfig
from clip2latent_kedro.samplers.ddim import sample_ddim
from clip2latent_kedro.samplers.ddpm import sample_ddpm
from clip2latent_kedro.samplers.dpmpp import sample_dpmpp_2m
from clip2latent_kedro.samplers.noise import Denoiser, NoiseSource
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


def sample(
    denoise: Denoiser,
    x_T: Tensor,
    alpha_bar: Tensor,
    config: SamplingConfig,
    generator: NoiseSource,
    *,
    stored: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Return x0 drawn with the configured sampler.

    Guidance lies in `denoise`; the condition and truncation are the caller's.

    Args:
        denoise: (x_t, t) -> prediction of x0.
        x_T: Pure noise, [n, num_latents, d].
        alpha_bar: Cumulative signal levels that the prior was trained with, [T].
        config: How latents are sampled.
        generator: Noise of the stochastic samplers.
        stored: `DiffusionPrior.stored_schedule`.

    Returns:
        Samples, [n, num_latents, d], normalised.

    Raises:
        InputError: If `num_steps` does not suit the prior's timesteps.
    """
    timesteps = plan_timesteps(config, alpha_bar)
    own_settings: dict[str, dict[str, Any]] = {
        "ddpm": {"variance": config.variance, "stored": stored},
        "ddim": {"eta": config.eta},
        "dpmpp_2m": {},
        "unipc": {},
    }
    with torch.no_grad():
        return SAMPLERS[config.sampler](
            denoise,
            x_T,
            timesteps,
            alpha_bar,
            generator=generator,
            **own_settings[config.sampler],
        )
