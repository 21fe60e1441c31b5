"""The floor: w at random, whatever the text says."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from clip2latent_kedro.methods.method import LatentMethod, NoSettings, Queries
from clip2latent_kedro.runtime import make_generator

if TYPE_CHECKING:
    from clip2latent_kedro.methods.models import Models


@dataclass(frozen=True, kw_only=True)
class RandomW(LatentMethod):
    """z ~ N(0, I) through the mapping network, without truncation."""

    @classmethod
    def build(cls, settings: NoSettings, models: "Models", queries: Queries) -> Self:
        """Return the floor, which any domain has."""
        return cls(generator=models.generator)

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_prompts, num_samples, num_ws, w_dim]."""
        shape = (num_samples, self.generator.z_dim)
        z = torch.stack(
            [
                torch.randn(shape, generator=make_generator(seed, "random_w", prompt))
                for prompt in range(len(queries.texts))
            ]
        )
        w = self.generator.mapping(z.flatten(0, 1).to(queries.embedding.device))
        return w.reshape(*z.shape[:2], *w.shape[1:])
