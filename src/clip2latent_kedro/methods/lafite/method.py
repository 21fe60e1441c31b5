"""LAFITE: a generator that takes the text itself, in one pass."""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from torch import Tensor

from clip2latent_kedro.checked import Checked, NonNegativeFloat
from clip2latent_kedro.conditioning import shift_texts
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.text_adapter import TextGenerator
from clip2latent_kedro.methods.digests import digest_arrays
from clip2latent_kedro.methods.method import (
    Method,
    Queries,
    UnavailableError,
    not_trained,
)
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics
from clip2latent_kedro.prior.sampling import noise_streams

if TYPE_CHECKING:
    from clip2latent_kedro.methods.models import Models

ORIGINAL_IMAGES = 390_000 * 64  # that the original's training sees


@dataclass(frozen=True)
class LafiteSettings(Checked):
    """How a text is drawn.

    Attributes:
        psi: Truncation of the w of z; 1 is none, 0 gives every z the same.
        mean_shift: Share of the difference of the means of images and texts that is
            added to a text, as the prior knows them.
    """

    psi: NonNegativeFloat = 1.0
    mean_shift: NonNegativeFloat = 0.0


@dataclass(frozen=True, kw_only=True)
class LafiteMethod(Method):
    """Images of z and a text.

    Attributes:
        model: On the device of the encoder.
        statistics: Of the embeddings of images and texts; None where none is needed.
    """

    Settings: ClassVar[type] = LafiteSettings
    gives_w: ClassVar[bool] = False

    settings: LafiteSettings
    model: TextGenerator
    statistics: EmbeddingStatistics | None = None

    @classmethod
    def build(
        cls, settings: LafiteSettings, models: "Models", queries: Queries
    ) -> Self:
        """Return LAFITE.

        Raises:
            UnavailableError: If none has been trained or loaded for such embeddings,
                or nothing knows the means that a shift takes.
        """
        model, encoder = models.lafite, models.embedder
        if model is None:
            raise not_trained("lafite")
        if model.text_dim != encoder.embed_dim:
            msg = (
                f"lafite takes texts of {model.text_dim} numbers, the encoder "
                f"{encoder.identity} gives {encoder.embed_dim}. Run the pipeline "
                f"baselines, or point the catalog entry lafite at another."
            )
            raise UnavailableError(msg)
        try:
            model.check_encoder(encoder.identity)
        except InputError as error:
            raise UnavailableError(str(error)) from None
        seen = model.training_images
        had = (
            "How many images the training of this LAFITE has seen is not in its file"
            if seen is None
            else f"The training of this LAFITE has seen {seen:,} images"
        )
        made_with = {"lafite": model.identity.digest}
        statistics = None
        if settings.mean_shift:
            statistics = models.find_prior("prior").embedding_statistics
            if statistics is None or statistics.text_mean is None:
                msg = (
                    "mean_shift must be 0 where the prior does not know the means of "
                    "images and texts. Train a prior by the pipeline training."
                )
                raise UnavailableError(msg)
            means = {"image": statistics.mean, "text": statistics.text_mean}
            made_with["means"] = digest_arrays(means)
        return cls(
            settings=settings,
            model=model,
            statistics=statistics,
            made_with=made_with,
            training_seconds=model.training_seconds,
            caveats=(f"{had}; that of the original sees {ORIGINAL_IMAGES:,}.",),
        )

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return z and text, [num_prompts, num_samples, z_dim + text_dim]."""
        text = queries.embedding.float()
        if self.statistics is not None:
            text, _ = shift_texts(self.statistics, text, self.settings.mean_shift)
        z = _sample_z(len(text), num_samples, self.model.z_dim, seed).to(text)
        return torch.cat([z, text[:, None].expand(-1, num_samples, -1)], dim=2)

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of z and text."""
        z, text = torch.split(samples, [self.model.z_dim, self.model.text_dim], dim=1)
        return self.model.sample(z, text, psi=self.settings.psi).clamp(-1, 1)


@torch.no_grad()
def sample_lafite(
    model: TextGenerator,
    text_embedding: Tensor,
    *,
    num_samples: int,
    seed: int,
    batch_size: int = 64,
) -> Tensor:
    """Return images, [n, num_samples, 3, resolution, resolution], about [-1, 1].

    Args:
        model: On the device of the embeddings.
        text_embedding: CLIP's, of any length, [n, text_dim].
        num_samples: Samples of each text.
        seed: z of sample j of text i depends on (seed, i, j) alone.
        batch_size: Images synthesised at a time.
    """
    z = _sample_z(len(text_embedding), num_samples, model.z_dim, seed)
    parts = zip(
        torch.split(z.to(text_embedding).flatten(0, 1), batch_size),
        torch.split(text_embedding.repeat_interleave(num_samples, 0), batch_size),
        strict=True,
    )
    images = torch.cat([model.sample(*part) for part in parts])
    return images.view(-1, num_samples, *images.shape[1:])


def _sample_z(num_texts: int, num_samples: int, z_dim: int, seed: int) -> Tensor:
    """Return z, [num_texts, num_samples, z_dim]; each has a stream of its own."""
    streams = list(product(range(num_texts), range(num_samples)))
    z = next(noise_streams(seed, streams, (1, z_dim)))
    return z.view(num_texts, num_samples, z_dim)
