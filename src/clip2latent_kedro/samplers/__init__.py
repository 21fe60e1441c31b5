"""Samplers: a denoiser and a noise schedule in, x0 out. One sampler a file."""

from clip2latent_kedro.samplers.noise import Denoiser, NoiseSource
from clip2latent_kedro.samplers.sampling import SAMPLERS, SamplingConfig, sample

__all__ = ["SAMPLERS", "Denoiser", "NoiseSource", "SamplingConfig", "sample"]
