"""Pictures that lie between two values of an attribute, such as half a hat."""

from typing import TypeVar

import numpy as np
from torch import Tensor

CERTAIN = 0.7  # one number, since shares by two of them are two quantities

Array = TypeVar("Array", np.ndarray, Tensor)


def find_blends(certainty: Array) -> Array:
    """Return which pictures are blends, [...] bool.

    A blend has an attribute of which the judge gives no value a probability of
    `CERTAIN`: a half-transparent hat may be right by the most probable value, while
    anyone sees the fault.

    Args:
        certainty: Largest probability of each attribute, [..., num_attributes], in
            [0, 1]; NaN for one that cannot be seen, of which nothing is asked.
    """
    blends: Array = (certainty < CERTAIN).any(-1)  # type: ignore[assignment]
    return blends
