"""Samplers: a denoiser and a noise schedule in, x0 out. One sampler a file."""

from clip2latent_kedro.samplers.config import SamplingConfig
from clip2latent_kedro.samplers.noise import Denoiser, NoiseSource
from clip2latent_kedro.samplers.sampling import SAMPLERS, choose_sampler, plan_timesteps

__all__ = [
    "SAMPLERS",
    "Denoiser",
    "NoiseSource",
    "SamplingConfig",
    "choose_sampler",
    "plan_timesteps",
]
