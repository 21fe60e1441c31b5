"""The floor: w at random, whatever the text says."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from clip2latent_kedro.interfaces import Generator
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.study.method import Queries
from clip2latent_kedro.study.models import Models
from clip2latent_kedro.study.rows import Row, RowSpec


@dataclass(frozen=True)
class RandomW:
    """z ~ N(0, I) through the mapping network, without truncation."""

    gives_w: ClassVar[bool] = True

    generator: Generator

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

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of w."""
        return self.generator.synthesis(samples, noise_mode="const")


def build(spec: RowSpec, models: Models, queries: Queries) -> Row:
    """Return the floor, which any domain has."""
    method = RandomW(models.generator)
    return Row(method, settings={}, made_with={}, timed=method)
