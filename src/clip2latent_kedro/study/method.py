"""What a method of the comparison is asked, and what it must offer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

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
        held_out_embedding: Of the texts by the encoder that only scores, [num_prompts,
            its clip_dim]; None without one.
    """

    texts: list[str]
    embedding: Tensor
    stated: np.ndarray
    held_out_embedding: Tensor | None = None

    def take(self, prompts: Sequence[int]) -> "Queries":
        """Return some of the prompts, by their numbers."""
        rows = list(prompts)
        held_out = self.held_out_embedding
        return replace(
            self,
            texts=[self.texts[row] for row in rows],
            embedding=self.embedding[rows],
            stated=self.stated[rows],
            held_out_embedding=None if held_out is None else held_out[rows],
        )


class Method(Protocol):
    """A row of the comparison, in two stages that are timed apart.

    Attributes:
        gives_w: Whether samples are w, [num_prompts, num_samples, num_ws, w_dim].
    """

    gives_w: ClassVar[bool]

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return what decides each image, [num_prompts, num_samples, ...].

        The most promising sample comes first if one is. Sample j of prompt i depends
        on (seed, i, j) and on the queries alone.
        """
        ...

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images, [n, 3, h, w] in [-1, 1], of n samples, [n, ...]."""
        ...


@dataclass(frozen=True)
class Trajectory:
    """Where a method that goes step by step was on its way.

    Attributes:
        steps: After how many steps, rising, k of them.
        samples: What it had then, [k, num_prompts, num_samples, ...].
    """

    steps: Sequence[int]
    samples: Tensor


@runtime_checkable
class RecordsTrajectory(Protocol):
    """A method that can say how it came to its samples."""

    def sample_with_trajectory(
        self, queries: Queries, *, num_samples: int, seed: int
    ) -> tuple[Tensor, Trajectory]:
        """Return what `sample` does, with the way there."""
        ...
