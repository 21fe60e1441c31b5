"""What every sampler is given: a denoiser, and a source of noise."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Denoiser = Callable[[Tensor, int], Tensor]
"""Predicts x0 of (x_t, t), with any condition and guidance already inside."""

NoiseSource = torch.Generator | Iterator[Tensor]
"""A seeded generator, or noise drawn before, one tensor for each noisy step."""


def sample_noise(x_t: Tensor, source: NoiseSource) -> Tensor:
    """Return unit Gaussian noise of the shape, dtype and device of x_t.

    A generator draws on its own device, so that a seeded CPU generator gives the
    same noise whatever device the prior runs on.
    """
    if isinstance(source, torch.Generator):
        noise = torch.randn(
            x_t.shape, generator=source, device=source.device, dtype=x_t.dtype
        )
    else:
        noise = next(source)
    return noise.to(x_t)
