"""Latents drawn from a prior, each with a noise of its own.

Sample j of condition i has its own stream of random numbers, which depends on the
seed, i and j alone: it stays the same whatever is drawn beside it, and whatever the
sampler, the settings or the size of a batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.runtime import derive_seed
from clip2latent_kedro.samplers import SamplingConfig, choose_sampler
from clip2latent_kedro.samplers.guidance import guidance_scales

ONE_STEP: dict[str, Any] = {"sampler": "ddim", "num_steps": 1, "guidance": "cfg"}
NOISE_BLOCK = 16  # steps whose noise is drawn at once, for speed alone


def adapt_sampling(prior: DiffusionPrior, sampling: SamplingConfig) -> SamplingConfig:
    """Return settings that suit the prior: a distilled one answers in one step."""
    if not prior.is_distilled:
        return sampling
    return replace(sampling, **ONE_STEP)


def check_sampling(
    prior: DiffusionPrior, sampling: SamplingConfig, *, has_negative: bool = False
) -> None:
    """Check that settings ask a prior for nothing that it has not learned.

    Args:
        prior: Distilled or not.
        sampling: `params:sampling`.
        has_negative: Whether there is a negative condition, in place of none.

    Raises:
        InputError: If a distilled prior is to visit another timestep than its last, or
            to renoise without its condition, or if the guidance is out of its range.
    """
    if prior.is_distilled and sampling.guidance == "cfgpp":
        msg = (
            "sampling.guidance must be cfg for a distilled prior, which has no "
            "unconditional branch, got cfgpp."
        )
        raise InputError(msg)
    scales = guidance_scales(prior.alpha_bar, sampling)
    if prior.is_distilled and list(scales) != [len(prior.alpha_bar) - 1]:
        msg = (
            f"A distilled prior has learned one step alone, from pure noise, got "
            f"sampling.sampler: {sampling.sampler} with num_steps: "
            f"{sampling.num_steps}. Set sampler: ddim and num_steps: 1, or use the "
            f"prior that it was distilled from."
        )
        raise InputError(msg)
    low, high = prior.guidance_range
    if not has_negative and not all(low <= scale <= high for scale in scales.values()):
        learned = "guidance_range" if prior.is_distilled else "cond_drop_prob"
        msg = (
            f"sampling.guidance_scale must be {low:g} to {high:g} for this prior, by "
            f"the {learned} of its training, got {sampling.guidance_scale:g}. Change "
            f"it, or train again."
        )
        raise InputError(msg)


@torch.no_grad()
def sample_prior(
    prior: DiffusionPrior,
    condition: Tensor,
    sampling: SamplingConfig,
    *,
    num_samples: int,
    seed: int,
    batch_size: int,
    negative: Tensor | None = None,
) -> Tensor:
    """Return w, [n, num_samples, num_latents, w_dim], not truncated.

    Args:
        prior: On the device of the conditions.
        condition: Of `prior.join_condition`, [n, width], or one for each sample,
            [n, num_samples, width].
        sampling: `params:sampling`.
        num_samples: Samples of each condition.
        seed: Sample j of condition i depends on (seed, i, j) alone.
        batch_size: Latents denoised at a time, or those of one condition if more.
        negative: What guidance leads away from, likewise; one for all or n.

    Raises:
        InputError: If the settings do not suit the prior.
    """
    check_sampling(prior, sampling, has_negative=negative is not None)
    if negative is not None:
        condition, negative = _align(condition, negative)
    batches = []
    conditions_at_once = max(1, batch_size // num_samples)
    for rows in torch.split(torch.arange(len(condition)), conditions_at_once):
        streams = list(product(rows.tolist(), range(num_samples)))
        noise = noise_streams(seed, streams, prior.latent_shape)
        w_batch = sample_from_noise(
            prior,
            next(noise).to(condition),
            condition[rows].flatten(0, -2),
            sampling,
            negative=None if negative is None else negative[rows].flatten(0, -2),
            noise=noise,
        )
        batches.append(w_batch)
    w = torch.cat(batches)
    return w.view(len(condition), num_samples, *w.shape[1:])


@torch.no_grad()
def sample_from_noise(
    prior: DiffusionPrior,
    x_T: Tensor,
    condition: Tensor,
    sampling: SamplingConfig,
    *,
    negative: Tensor | None = None,
    noise: Iterator[Tensor] | None = None,
) -> Tensor:
    """Return the w that a noise becomes, [n, num_latents, w_dim], not truncated.

    Args:
        prior: On the device of the conditions.
        x_T: Unit Gaussian noise, [n, num_latents, w_dim], such as that of `draw_noise`.
        condition: Of `prior.join_condition`, [m, width], each for n / m latents in a
            row.
        sampling: `params:sampling`.
        negative: What guidance leads away from, [m, width].
        noise: What a stochastic sampler adds, of the shape of x_T, one for each step
            but the last.

    Raises:
        InputError: If the settings do not suit the prior, or the sampler adds noise
            and there is none.
    """
    check_sampling(prior, sampling, has_negative=negative is not None)
    has_eta = {"ddpm": True, "ddim": sampling.eta > 0}.get(sampling.sampler, False)
    if noise is None and has_eta and sampling.num_steps > 1:
        msg = (
            f"sampling.sampler must be dpmpp_2m, unipc or ddim with eta: 0 where x_T "
            f"is all the noise that there is, got {sampling.sampler} with eta: "
            f"{sampling.eta:g}. Change it, or give the noise of its steps."
        )
        raise InputError(msg)
    scales = guidance_scales(prior.alpha_bar, sampling)
    sampler = choose_sampler(sampling, prior.alpha_bar, stored=prior.stored_schedule)
    denoise = prior.denoiser(condition, scales, negative=negative)
    return prior.statistics.denormalise(sampler(denoise, x_T, generator=noise))


def draw_noise(
    prior: DiffusionPrior, seed: int, streams: Sequence[tuple[int, int]]
) -> Tensor:
    """Return x_T of samples that `sample_prior` draws, [n, num_latents, w_dim].

    Args:
        prior: Whose latents have this shape.
        seed: What `sample_prior` is given.
        streams: (i, j) of each, for sample j of condition i.
    """
    x_T = next(noise_streams(seed, streams, prior.latent_shape))
    return x_T.to(prior.alpha_bar.device)


def _align(condition: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as [n, r, width], repeated where the other has more."""
    first, second = (c if c.ndim == 3 else c[:, None] for c in (condition, negative))
    if len(second) not in (1, len(first)):
        msg = f"negative must be one for all or {len(first)}, got {len(second)}."
        raise InputError(msg)
    num_each = max(first.shape[1], second.shape[1])
    shape = (len(first), num_each, -1)
    return first.expand(shape), second.expand(shape)


def noise_streams(
    seed: int, streams: Sequence[tuple[int, int]], shape: tuple[int, int]
) -> Iterator[Tensor]:
    """Yield unit Gaussian noise, [num_streams, *shape], without end: x_T first.

    Args:
        seed: Seed of the run.
        streams: (prompt, sample) numbers, each a stream of its own.
        shape: Of one latent, (num_latents, latent_dim).
    """
    generators = [
        np.random.Generator(np.random.Philox(key=derive_seed(seed, "sample", i, j)))
        for i, j in streams
    ]
    while True:
        blocks = [
            generator.standard_normal((NOISE_BLOCK, *shape), np.float32)
            for generator in generators
        ]
        yield from torch.from_numpy(np.stack(blocks, axis=1))
