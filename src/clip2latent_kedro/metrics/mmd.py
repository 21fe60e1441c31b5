"""The maximum mean discrepancy of two sets of features, in two of its forms.

MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y): 0 where the sets have one distribution.
"""

from typing import Any

import numpy as np

from clip2latent_kedro.metrics.frechet import check_features
from clip2latent_kedro.metrics.similarity import unit_rows

CMMD_SIGMA = 10.0
CMMD_SCALE = 1000.0


def kernel_distance(features: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Return the kernel distance, as in KID (Bińkowski et al. 2018), and its error.

    The unbiased MMD^2 under k(x, y) = (x.y / d + 1)^3 over all pairs, which is what
    KID's mean over random subsets tends to. Unlike the Fréchet distance it does not
    grow as sets get smaller, and may come out below 0. Rows of one prompt are no
    independent draws: pairs of them are left out, so that it does not matter either
    how many of its images share a prompt.

    Args:
        features: [num_prompts, num_samples, d].
        reference: Independent draws, [m, d].

    Returns:
        The distance, NaN of less than two prompts; and its standard error over the
        choice of prompts (jackknife), NaN of less than three. That of the reference,
        which all that are compared with it share, is not in it.

    Raises:
        ValueError: If the shapes do not belong together, or a value is not finite.
    """
    num_prompts, num_samples, dim = features.shape
    if num_prompts < 2:
        return np.nan, np.nan
    first, second = check_features(features.reshape(-1, dim), reference)
    shape = num_prompts, num_samples, num_prompts, num_samples
    pairs = _cubic(first, first).reshape(shape).mean(axis=(1, 3))
    np.fill_diagonal(pairs, 0)  # [num_prompts, num_prompts]
    across = _cubic(first, second).reshape(num_prompts, -1).mean(axis=1)
    within_reference = _mean_of_others(_cubic(second, second))

    def distance(total: Any, sum_across: Any, n: int) -> Any:
        if n < 2:
            return np.nan
        return total / (n * (n - 1)) + within_reference - 2 * sum_across / n

    found = distance(pairs.sum(), across.sum(), num_prompts)
    without = distance(  # each prompt
        pairs.sum() - 2 * pairs.sum(axis=1), across.sum() - across, num_prompts - 1
    )
    error = np.sqrt((num_prompts - 1) * np.var(without))
    return float(found), float(error)


def clip_mmd(features: np.ndarray, reference: np.ndarray) -> float:
    """Return CMMD (Jayasumana et al. 2024): 1000 times the biased MMD^2.

    Of features of length 1, under k(x, y) = exp(-|x - y|^2 / (2 * 10^2)).

    Args:
        features: CLIP embeddings, [n, d], of any length.
        reference: [m, d].

    Returns:
        0 or more, but for rounding.

    Raises:
        ValueError: If the shapes do not belong together, or a vector has no direction.
    """
    first, second = check_features(features, reference)
    x, y = unit_rows(first), unit_rows(second)
    within = _gaussian(x, x).mean() + _gaussian(y, y).mean()
    return float(CMMD_SCALE * (within - 2 * _gaussian(x, y).mean()))


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    kernel: np.ndarray = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel


def _gaussian(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the kernel of rows of length 1, where |x - y|^2 = 2 - 2 x.y."""
    kernel: np.ndarray = np.exp((x @ y.T - 1) / CMMD_SIGMA**2)
    return kernel


def _mean_of_others(kernel: np.ndarray) -> float:
    """Return the mean without the diagonal, which makes the estimate unbiased."""
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))
