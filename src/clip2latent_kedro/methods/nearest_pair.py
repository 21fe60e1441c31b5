"""Retrieval: training pairs whose images CLIP puts close to the text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self, cast

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.checked import Checked, PositiveFloat
from clip2latent_kedro.conditioning.noise_posterior import log_density
from clip2latent_kedro.latents import repeat_latents
from clip2latent_kedro.methods.checks import check_made_with
from clip2latent_kedro.methods.method import LatentMethod, Queries
from clip2latent_kedro.metrics.retrieval import nearest_rows
from clip2latent_kedro.metrics.similarity import unit_rows
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.runtime import make_generator

if TYPE_CHECKING:
    from clip2latent_kedro.methods.models import Models

CHUNK_SIZE = 16_384  # pairs compared at a time


@dataclass(frozen=True)
class NearestPairSettings(Checked):
    """Which pairs answer a text.

    Attributes:
        noise_level: None for the nearest. A level s draws pairs, each by the chance
            that it was the one, were the text its embedding with noise s (see
            `conditioning.noise_posterior`): what a perfect prior that is told s would
            answer, if there were no other w than those of the pairs.
    """

    noise_level: PositiveFloat | None = None


@dataclass(frozen=True, kw_only=True)
class NearestPair(LatentMethod):
    """w of pairs by their cosine with the unshifted text.

    Attributes:
        settings: Which pairs.
        pairs: What to search, made with the generator.
        latent_repeats: Layers of the generator that each latent stands for.
    """

    Settings: ClassVar[type] = NearestPairSettings

    pairs: TrainingPairs
    latent_repeats: Sequence[int]
    settings: NearestPairSettings = NearestPairSettings()

    @classmethod
    def build(
        cls, settings: NearestPairSettings, models: "Models", queries: Queries
    ) -> Self:
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
            settings=settings,
            made_with={"training_pairs": dict(pairs.recipe)},
            ignores_seed=True,
        )

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_prompts, num_samples, num_ws, w_dim]."""
        texts = queries.embedding.float().cpu().numpy()
        rows = cast(np.ndarray, self.pairs.clip_embedding)  # or Zarr, read in slices
        level = self.settings.noise_level
        if level is None:  # nearest first
            index, _ = nearest_rows(texts, rows, k=num_samples, chunk_size=CHUNK_SIZE)
        else:
            index = _draw_rows(texts, rows, level, num_samples, seed)
        w, _ = self.pairs.take(index.reshape(-1))
        w_layers = repeat_latents(torch.from_numpy(w), self.latent_repeats)
        w_layers = w_layers.to(queries.embedding.device)
        return w_layers.reshape(*index.shape, *w_layers.shape[1:])


def _draw_rows(
    texts: np.ndarray, rows: np.ndarray, noise_level: float, num_each: int, seed: int
) -> np.ndarray:
    """Return rows drawn for each text, [m, num_each] int64; one may come twice.

    Args:
        texts: [m, d].
        rows: [n, d]; read in slices.
        noise_level: What the texts are said to have.
        num_each: Rows of each text.
        seed: Those of text i depend on (seed, i) alone.
    """
    unit, num = unit_rows(texts), rows.shape[0]
    cosine = torch.empty(len(texts), num)
    for start in range(0, num, CHUNK_SIZE):
        chunk = unit_rows(rows[start : start + CHUNK_SIZE])
        cosine[:, start : start + len(chunk)] = torch.from_numpy(unit @ chunk.T)
    drawn = []
    for prompt, of_prompt in enumerate(cosine):
        density = log_density(of_prompt, noise_level, dim=texts.shape[1])
        if bool(density.isneginf().all()):  # so little noise leaves the nearest
            density[of_prompt.argmax()] = 0
        total = density.softmax(dim=0).cumsum(dim=0)
        random = make_generator(seed, "pairs", prompt)
        share = torch.rand(num_each, generator=random, dtype=torch.float64)
        drawn.append(torch.searchsorted(total / total[-1], share))
    return torch.stack(drawn).numpy()
