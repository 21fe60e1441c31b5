"""LAFITE: a generator that takes the text itself, in one pass."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.text_adapter import TextGenerator
from clip2latent_kedro.methods.lafite.sampling import draw_z
from clip2latent_kedro.study.method import Queries
from clip2latent_kedro.study.models import Models
from clip2latent_kedro.study.rows import LackingError, Row, RowSpec

ORIGINAL_IMAGES = 390_000 * 64  # that the original's training sees


@dataclass(frozen=True)
class Lafite:
    """Images of z and a text.

    Attributes:
        model: On the device of the encoder.
    """

    gives_w: ClassVar[bool] = False

    model: TextGenerator

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return z and text, [num_prompts, num_samples, z_dim + text_dim]."""
        text = queries.embedding.float()
        z = draw_z(len(text), num_samples, self.model.z_dim, seed).to(text)
        return torch.cat([z, text[:, None].expand(-1, num_samples, -1)], dim=2)

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of z and text."""
        z, text = torch.split(samples, [self.model.z_dim, self.model.text_dim], dim=1)
        return self.model.sample(z, text).clamp(-1, 1)


def build(spec: RowSpec, models: Models, queries: Queries) -> Row:
    """Return a row of LAFITE.

    Raises:
        LackingError: If none has been trained or loaded for such embeddings.
    """
    model: TextGenerator = models.need_baseline("lafite").to(models.device)
    encoder = models.embedder or models.encoder
    if model.text_dim != encoder.embed_dim:
        msg = (
            f"lafite takes texts of {model.text_dim} numbers, the encoder "
            f"{encoder.identity} gives {encoder.embed_dim}. Run the pipeline "
            f"baselines, or point the catalog entry lafite at another."
        )
        raise LackingError(msg)
    try:
        model.check_encoder(encoder.identity)
    except InputError as error:
        raise LackingError(str(error)) from None
    method = Lafite(model)
    made_with = {"lafite": model.identity.digest}
    return Row(
        method,
        settings={},
        made_with=made_with,
        timed=method,
        training_seconds=model.training_seconds,
        caveats=(_compare_training(spec.name, model.training_images),),
    )


def _compare_training(name: str, num_images: int | None) -> str:
    """Return how much training the model has had, beside the original's."""
    had = (
        f"How many images the training of {name} has seen is not in its file"
        if num_images is None
        else f"The training of {name} has seen {num_images:,} images"
    )
    return f"{had}; that of the original sees {ORIGINAL_IMAGES:,}."
