"""The energy score and distance: how far two distributions of samples are apart."""

import torch
from torch import Tensor


def energy_score(x: Tensor, y: Tensor) -> Tensor:
    """Return E|X - Y| - E|X - X'| / 2, divided by sqrt(d), the mean over conditions.

    Args:
        x: Samples whose score it is, k >= 2 of each condition, [m, k, d].
        y: Independent samples to be like, [m, l, d].
    """
    across = torch.cdist(x, y, compute_mode=_EXACT).mean()
    score: Tensor = (across - _mean_distance(x) / 2) / x.shape[-1] ** 0.5
    return score


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return 2 E|X - Y| - E|X - X'| - E|Y - Y'|, divided by sqrt(d).

    It is 0 for equal distributions, and above for others (Szekely and Rizzo 2013),
    but for chance: the estimate has no bias, and so may fall below 0.

    Args:
        x: Samples, k >= 2 of each condition, [m, k, d].
        y: Independent samples, likewise, [m, l, d].
    """
    distance: Tensor = 2 * energy_score(x, y) - _mean_distance(y) / y.shape[-1] ** 0.5
    return distance


def by_condition(x0: Tensor, num: int) -> Tensor:
    """Return latents, [num * k, num_latents, latent_dim], as [num, k, d]."""
    return x0.reshape(num, len(x0) // num, -1)


def _mean_distance(x: Tensor) -> Tensor:
    """Return the mean distance of different samples of a condition, [m, k, d]."""
    num, k = x.shape[:2]
    return torch.cdist(x, x, compute_mode=_EXACT).sum() / (num * k * (k - 1))


_EXACT = "donot_use_mm_for_euclid_dist"  # the fast way has no digits near zero
