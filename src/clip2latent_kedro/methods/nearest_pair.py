"""Retrieval: the training pairs whose images CLIP puts closest to the text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.latents import repeat_latents
from clip2latent_kedro.methods.checks import check_made_with
from clip2latent_kedro.methods.method import LatentMethod, NoSettings, Queries
from clip2latent_kedro.metrics.retrieval import nearest_rows
from clip2latent_kedro.pairs import TrainingPairs

if TYPE_CHECKING:
    from clip2latent_kedro.methods.models import Models

CHUNK_SIZE = 16_384  # pairs compared at a time


@dataclass(frozen=True, kw_only=True)
class NearestPair(LatentMethod):
    """w of the pairs of highest cosine with the unshifted text, nearest first.

    Attributes:
        pairs: What to search, made with the generator.
        latent_repeats: Layers of the generator that each latent stands for.
    """

    pairs: TrainingPairs
    latent_repeats: Sequence[int]

    @classmethod
    def build(cls, settings: NoSettings, models: "Models", queries: Queries) -> Self:
        """Return retrieval.

        Raises:
            UnavailableError: If there are no pairs.
            InputError: If they are another generator's.
        """
        pairs = models.find_pairs()
        check_made_with(pairs, generator=models.generator)
        return cls(
            generator=models.generator,
            pairs=pairs,
            latent_repeats=models.latent_repeats,
            made_with={"training_pairs": dict(pairs.recipe)},
            ignores_seed=True,
        )

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_prompts, num_samples, num_ws, w_dim]."""
        index, _ = nearest_rows(
            queries.embedding.float().cpu().numpy(),
            cast(np.ndarray, self.pairs.clip_embedding),  # or Zarr, read in slices
            k=num_samples,
            chunk_size=CHUNK_SIZE,
        )
        w, _ = self.pairs.take(index.reshape(-1))
        w_layers = repeat_latents(torch.from_numpy(w), self.latent_repeats)
        w_layers = w_layers.to(queries.embedding.device)
        return w_layers.reshape(*index.shape, *w_layers.shape[1:])
