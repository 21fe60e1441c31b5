"""How strongly the condition is followed at each step.

Classifier-free guidance (Ho and Salimans 2022) extrapolates the predicted x0,

    x0 = u + (c - u) * scale,

c with the condition and u without. Every form of guidance here is a scale for each
visited timestep, and so works with every sampler.
"""

import torch
from torch import Tensor

from clip2latent_kedro.samplers.config import SamplingConfig
from clip2latent_kedro.samplers.ddpm import posterior_std
from clip2latent_kedro.samplers.sampling import plan_timesteps
from clip2latent_kedro.schedules import visited_levels


def guidance_scales(alpha_bar: Tensor, config: SamplingConfig) -> dict[int, float]:
    """Return the scale of each visited timestep.

    `cfg`: `guidance_scale` throughout. `cfgpp`: CFG++ (Chung et al. 2024, arXiv
    2406.08070, Algorithm 2) takes x0 = u + lambda (c - u) and renoises with the
    unconditional noise. A step of the first order from t to s, which keeps the share
    k of that noise (sigma_s without fresh noise), does exactly this under the scale
    lambda / (1 - k alpha_t / (alpha_s sigma_t)), which is lambda in the last step.
    Samplers of second order take the same scales.

    Outside `guidance_interval` the scale is 1 (Kynkäänniemi et al. 2024, arXiv
    2404.07724).

    Args:
        alpha_bar: Cumulative signal levels of the prior, [T].
        config: How latents are sampled.

    Returns:
        Timestep -> scale, in the order of the steps.
    """
    timesteps = plan_timesteps(config, alpha_bar)
    scales = torch.full((len(timesteps),), config.guidance_scale, dtype=torch.float64)
    if config.guidance == "cfgpp":
        levels = visited_levels(alpha_bar, timesteps)
        bar_t, bar_s = levels[:-1], levels[1:]
        eta = {"ddpm": 1.0, "ddim": config.eta}.get(config.sampler, 0.0)
        kept = (1 - bar_s - (eta * posterior_std(bar_t, bar_s)) ** 2).sqrt()
        scales = scales / (1 - kept * (bar_t / bar_s / (1 - bar_t)).sqrt())
    low, high = config.guidance_interval
    last = max(1, len(alpha_bar) - 1)
    return {
        t: scale if low <= t / last <= high else 1.0
        for t, scale in zip(timesteps, scales.tolist(), strict=True)
    }
