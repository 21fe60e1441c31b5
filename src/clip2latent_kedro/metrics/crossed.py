"""How sure a mean over seeds and prompts is, when every seed meets every prompt."""

import math

import numpy as np

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.metrics.student_t import t_quantile

STEP = 0.1  # degrees of freedom are rounded down to it, so that quantiles are shared


def crossed_interval(values: np.ndarray, confidence: float) -> Interval:
    """Return the mean with an interval for other seeds and other prompts alike.

    Seeds and prompts are crossed random factors. The variance of the mean over S seeds
    and P prompts is var_s / S + var_p / P + var_sp / (S P), of seeds, of prompts and of
    what is left between them. The variance of the S means of seeds over S estimates the
    first and the last part, that of the P means of prompts over P the second and the
    last; their sum counts the last part twice, and so errs to the safe side. Its
    degrees of freedom are those of a sum of two estimates (Satterthwaite 1946).

    Where all prompts agree this is Student's t over seeds, and where all seeds agree
    that over prompts. Two variants are compared by the differences of their values,
    of the same seeds and prompts.

    Args:
        values: [num_seeds, num_prompts], two or more of each; a prompt with NaN for any
            seed is left out.
        confidence: Such as 0.95.

    Returns:
        The mean and its ends, which are infinite of a single prompt; of none the mean
        is NaN.
    """
    values = np.asarray(values, dtype=np.float64)
    assert values.ndim == 2
    assert len(values) >= 2
    values = values[:, np.isfinite(values).all(axis=0)]
    if not values.size:
        return Interval(math.nan, -math.inf, math.inf)
    mean = float(values.mean())
    if values.shape[1] < 2:
        return Interval(mean, -math.inf, math.inf)
    parts = []  # variance of the mean by each factor, and its degrees of freedom
    for axis in (1, 0):
        means = values.mean(axis=axis)
        parts.append((float(means.var(ddof=1)) / len(means), len(means) - 1))
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Interval(mean, mean, mean)
    degrees = 1 / sum((part / variance) ** 2 / number for part, number in parts)
    degrees = max(1.0, math.floor(degrees / STEP + 1e-6) * STEP)
    half = t_quantile((1 + confidence) / 2, round(degrees, 6)) * variance**0.5
    return Interval(mean, mean - half, mean + half)
