"""Retrieval: the training pairs whose images CLIP puts closest to the text."""

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Generator
from clip2latent_kedro.latents import repeat_latents
from clip2latent_kedro.metrics.retrieval import nearest_rows
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.study.method import Queries
from clip2latent_kedro.study.models import Models
from clip2latent_kedro.study.rows import Row, RowSpec

CHUNK_SIZE = 16_384  # pairs compared at a time


@dataclass(frozen=True)
class NearestPair:
    """w of the pairs of highest cosine with the unshifted text, nearest first.

    Attributes:
        generator: The one that the pairs were made with.
        pairs: What to search.
        latent_repeats: Layers of the generator that each latent stands for.
    """

    gives_w: ClassVar[bool] = True

    generator: Generator
    pairs: TrainingPairs
    latent_repeats: list[int]

    def __post_init__(self) -> None:
        """Check that the pairs are this generator's."""
        identity = self.generator.identity
        made_by = self.pairs.recipe["generator"]
        if made_by != f"{identity.name}@{identity.digest}":
            msg = (
                f"training_pairs must be made with the generator {identity}, got pairs "
                f"of {made_by}. Run data_generation for {identity}."
            )
            raise InputError(msg)

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

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of w."""
        return self.generator.synthesis(samples, noise_mode="const")


def build(spec: RowSpec, models: Models, queries: Queries) -> Row:
    """Return retrieval.

    Raises:
        LackingError: If there are no pairs.
    """
    pairs = models.need_pairs()
    method = NearestPair(models.generator, pairs, list(models.latent_repeats))
    made_with = {"training_pairs": dict(pairs.recipe)}
    return Row(method, settings={}, made_with=made_with, timed=method)
