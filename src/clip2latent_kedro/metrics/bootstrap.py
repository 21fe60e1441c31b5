"""How sure a mean over prompts is: percentile bootstrap (Efron 1979)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean and the interval that holds it with the stated confidence."""

    mean: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """Return mean and ends, each as `spec` has it: `+0.103 [+0.051, +0.155]`."""
        return f"{self.mean:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def bootstrap_mean(
    values: np.ndarray,
    *,
    num_resamples: int,
    confidence: float,
    generator: np.random.Generator,
) -> Interval:
    """Return the mean over prompts with its percentile interval.

    Prompts are drawn again with replacement; the samples of a prompt stay together
    in its one value, since they are not independent. Two methods are compared by the
    differences of their values, prompt by prompt: an interval without zero means that
    they differ on such prompts.

    Args:
        values: One value a prompt, or one difference, [num_prompts].
        num_resamples: How often to draw; 10,000 settles the third digit.
        confidence: Such as 0.95.
        generator: Seeded by the caller.

    Raises:
        ValueError: If values is empty, not one-dimensional or not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        msg = (
            f"values must be one finite number for each prompt, got shape "
            f"{list(values.shape)} with {np.count_nonzero(~np.isfinite(values))} that "
            f"are not finite. Leave out the prompts to which the metric does not apply."
        )
        raise ValueError(msg)
    num_prompts = len(values)
    chosen = generator.integers(num_prompts, size=(num_resamples, num_prompts))
    tail = (1 - confidence) / 2
    low, high = np.quantile(values[chosen].mean(axis=1), [tail, 1 - tail])
    return Interval(float(values.mean()), float(low), float(high))
