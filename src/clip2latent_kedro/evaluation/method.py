"""What a method of the comparison is asked, and what it must offer."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Queries:
    """Prompts, ready to be answered.

    Attributes:
        texts: The prompts.
        embedding: Of the texts, as the encoder gives it, [num_prompts, clip_dim].
        stated: Value indices that the texts state, -1 for an attribute left open,
            [num_prompts, num_attributes] int; no columns without a judge.
    """

    texts: list[str]
    embedding: Tensor
    stated: np.ndarray


class Method(Protocol):
    """A row of the comparison, in two stages that are timed apart."""

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return what decides each image, [num_prompts, num_samples, ...].

        For most methods this is w, [num_prompts, num_samples, num_ws, w_dim], the
        most promising sample first if one is. Sample j of prompt i depends on
        (seed, i, j) and on the queries alone.
        """
        ...

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images, [n, 3, h, w] in [-1, 1], of n samples, [n, ...]."""
        ...
