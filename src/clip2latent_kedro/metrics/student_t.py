"""How sure a mean of few numbers is: Student's t."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from clip2latent_kedro.metrics.bootstrap import Interval

GRID = 200_001  # points of the integral; the quantile is right to 1e-7


def t_interval(values: Sequence[float], confidence: float) -> Interval:
    """Return the mean with its interval, mean +- t s / sqrt(n).

    Args:
        values: Independent numbers, such as one a seed; two or more.
        confidence: Such as 0.95.
    """
    numbers = np.asarray(values, dtype=np.float64)
    assert numbers.ndim == 1
    assert len(numbers) >= 2
    mean = float(numbers.mean())
    error = float(numbers.std(ddof=1)) / len(numbers) ** 0.5
    half = t_quantile((1 + confidence) / 2, len(numbers) - 1) * error
    return Interval(mean, mean - half, mean + half)


@cache
def t_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t distribution.

    With t = sqrt(degrees) tan(a), its density is that of cos(a)^(degrees - 1) over
    (-pi/2, pi/2), which is integrated.

    Args:
        probability: Above 0 and below 1.
        degrees: Of freedom, 1 or more.
    """
    angles = np.linspace(-np.pi / 2, np.pi / 2, GRID)
    density = np.cos(angles) ** (degrees - 1)
    mass = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    angle = np.interp(probability, mass / mass[-1], angles)
    return float(np.sqrt(degrees) * np.tan(angle))
