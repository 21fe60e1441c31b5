"""How to draw from a prior: the settings, and the sampler that they name."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.samplers.ddim import sample_ddim
from clip2latent_kedro.samplers.ddpm import Variance, sample_ddpm
from clip2latent_kedro.samplers.dpmpp import sample_dpmpp_2m
from clip2latent_kedro.samplers.noise import Denoiser, NoiseSource
from clip2latent_kedro.schedules import respaced_timesteps

SamplerName = Literal["ddpm", "ddim", "dpmpp_2m"]
TruncationCentre = Literal["data_mean", "w_avg"]

SAMPLERS: dict[str, Callable[..., Tensor]] = {
    "ddpm": sample_ddpm,
    "ddim": sample_ddim,
    "dpmpp_2m": sample_dpmpp_2m,
}


@dataclass(frozen=True)
class SamplingConfig:
    """How latents are drawn, `params:sampling`.

    Attributes:
        sampler: A name of `SAMPLERS`.
        num_steps: Denoising steps; must divide the prior's timesteps for `ddpm`.
        guidance_scale: 1 is none, 0 ignores the condition.
        psi: Truncation of w; 1 is none, 0 gives the centre.
        truncation_centre: The mean of the training data, as in the original code,
            or the generator's own `w_avg`.
        mean_shift: How much of the difference between the image and the text mean
            is added to a text embedding, 0 (none) to 1 (all of it).
        eta: Fresh noise of `ddim`, 0 to 1.
        variance: Noise of a respaced `ddpm`.
    """

    sampler: SamplerName
    num_steps: int
    guidance_scale: float
    psi: float
    truncation_centre: TruncationCentre
    mean_shift: float
    eta: float
    variance: Variance

    def __post_init__(self) -> None:
        """Raise `InputError` for the first setting that is out of its range."""
        _check_choice("sampler", self.sampler, tuple(SAMPLERS))
        _check_choice("variance", self.variance, get_args(Variance))
        centres = get_args(TruncationCentre)
        _check_choice("truncation_centre", self.truncation_centre, centres)
        _check_range("num_steps", self.num_steps, 1, math.inf)
        _check_range("guidance_scale", self.guidance_scale, 0, math.inf)
        _check_range("psi", self.psi, 0, math.inf)
        _check_range("mean_shift", self.mean_shift, 0, 1)
        _check_range("eta", self.eta, 0, 1)


def sample(
    denoise: Denoiser,
    x_T: Tensor,
    alpha_bar: Tensor,
    config: SamplingConfig,
    generator: NoiseSource,
    *,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Return x0 drawn with the configured sampler.

    Guidance lies in `denoise`; truncation and the mean shift are the caller's.

    Args:
        denoise: (x_t, t) -> prediction of x0.
        x_T: Pure noise, [n, num_latents, d].
        alpha_bar: Cumulative signal levels that the prior was trained with, [T].
        config: `params:sampling`.
        generator: Noise of the stochastic samplers.
        on_step: Called with t and the predicted x0 after each of the steps.

    Returns:
        Samples, [n, num_latents, d], normalised.

    Raises:
        InputError: If `num_steps` does not suit the prior's timesteps.
    """

    def observed(x_t: Tensor, t: int) -> Tensor:
        x0 = denoise(x_t, t)
        if on_step is not None:
            on_step(t, x0)
        return x0

    # clip2latent starts a respaced ddpm at T - T / num_steps; the others at T - 1.
    timesteps = respaced_timesteps(
        len(alpha_bar),
        config.num_steps,
        spacing="leading" if config.sampler == "ddpm" else "trailing",
    )
    own_settings: dict[str, dict[str, Any]] = {
        "ddpm": {"variance": config.variance},
        "ddim": {"eta": config.eta},
        "dpmpp_2m": {},
    }
    with torch.no_grad():
        return SAMPLERS[config.sampler](
            observed,
            x_T,
            timesteps,
            alpha_bar,
            generator=generator,
            **own_settings[config.sampler],
        )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        msg = f"sampling.{name} must be one of {', '.join(choices)}, got {value!r}."
        raise InputError(msg)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high or not math.isfinite(value):
        bound = f"at least {low:g}" if high == math.inf else f"{low:g} to {high:g}"
        msg = f"sampling.{name} must be {bound}, got {value}."
        raise InputError(msg)
