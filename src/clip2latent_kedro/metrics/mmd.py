"""The maximum mean discrepancy of two sets of features, in two of its forms.

MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y): 0 where the sets have one distribution.
"""

import numpy as np

from clip2latent_kedro.metrics.frechet import check_features
from clip2latent_kedro.metrics.similarity import unit_rows

CMMD_SIGMA = 10.0
CMMD_SCALE = 1000.0


def kernel_distance(
    features: np.ndarray,
    reference: np.ndarray,
    *,
    num_subsets: int,
    subset_size: int,
    generator: np.random.Generator,
) -> float:
    """Return the kernel distance, as in KID (Bińkowski et al. 2018).

    The unbiased MMD^2 under k(x, y) = (x.y / d + 1)^3, the mean over subsets that are
    drawn without replacement. Unlike the Fréchet distance it does not grow as sets
    get smaller, and may come out below 0.

    Args:
        features: [n, d].
        reference: [m, d].
        num_subsets: How often to draw.
        subset_size: Rows of each set in a subset, 2 or more; fewer if there are.
        generator: Seeded by the caller.

    Raises:
        ValueError: If the shapes do not belong together, or a value is not finite.
    """
    first, second = check_features(features, reference)
    if num_subsets < 1 or subset_size < 2:
        msg = (
            f"num_subsets must be 1 or more and subset_size 2 or more, got "
            f"{num_subsets} and {subset_size}."
        )
        raise ValueError(msg)
    size = min(subset_size, len(first), len(second))
    distances = []
    for _ in range(num_subsets):
        x, y = (
            rows[generator.choice(len(rows), size, replace=False)]
            for rows in (first, second)
        )
        within = _mean_of_others(_cubic(x, x)) + _mean_of_others(_cubic(y, y))
        distances.append(within - 2 * _cubic(x, y).mean())
    return float(np.mean(distances))


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
