"""Samplers: a denoiser and a noise schedule in, x0 out. One sampler a file."""

from clip2latent_kedro.samplers.config import SamplingConfig
from clip2latent_kedro.samplers.noise import Denoiser, NoiseSource
from clip2latent_kedro.samplers.sampling import SAMPLERS, plan_timesteps, sample

__all__ = [
    "SAMPLERS",
    "Denoiser",
    "NoiseSource",
    "SamplingConfig",
    "plan_timesteps",
    "sample",
]
