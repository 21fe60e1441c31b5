"""What a user asks for: texts, images, and weighted sums of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder

Query = str | Tensor | Sequence[tuple[str | Tensor, float]]
"""A text, an image [3, h, w] in [-1, 1], or several of them with their weights."""


@dataclass(frozen=True)
class EmbeddedQueries:
    """Queries as weighted sums of embeddings.

    Attributes:
        text: Embeddings of texts, [num_texts, clip_dim], of any length.
        image: Embeddings of images, [num_images, clip_dim], of any length.
        weights: [num_queries, num_texts + num_images], texts first; a weight of the
            direction of an embedding, which may be negative.
    """

    text: Tensor
    image: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        """Check that something is left of each sum."""
        lengths = self._sums().norm(dim=-1)
        cancelled = (lengths <= 1e-3 * self.weights.abs().sum(dim=1)).nonzero()
        if len(cancelled):
            row = self.weights[cancelled[0, 0]]
            msg = (
                f"The parts of a query must not cancel, got weights "
                f"{row[row != 0].tolist()}. Change them."
            )
            raise InputError(msg)

    @classmethod
    def of_texts(cls, text_embedding: Tensor) -> "EmbeddedQueries":
        """Return plain texts, of their embeddings [n, clip_dim]."""
        weights = torch.eye(len(text_embedding), device=text_embedding.device)
        return cls(text_embedding, text_embedding[:0], weights)

    @property
    def direction(self) -> Tensor:
        """Unit-length sums, [num_queries, clip_dim]: what samples are ranked by."""
        return functional.normalize(self._sums(), dim=-1)

    @property
    def has_text(self) -> Tensor:
        """Whether a query holds a text, [num_queries] bool."""
        return (self.weights[:, : len(self.text)] != 0).any(dim=1)

    def _sums(self) -> Tensor:
        parts = functional.normalize(torch.cat([self.text, self.image]), dim=-1)
        return self.weights.to(parts) @ parts


@torch.no_grad()
def embed_queries(
    encoder: Encoder, queries: Sequence[Query], device: str = "cpu"
) -> EmbeddedQueries:
    """Return queries embedded, each text and each image once.

    Args:
        encoder: On the device.
        queries: Any number.
        device: Where images are moved to be embedded.

    Raises:
        InputError: If a query is none, or if its parts cancel.
    """
    mixtures = [_parts_of(query) for query in queries]
    parts = [part for mixture in mixtures for part, _ in mixture]
    texts = list(dict.fromkeys(part for part in parts if isinstance(part, str)))
    images = {id(part): part for part in parts if isinstance(part, Tensor)}
    pictures = [encoder.encode_image(part[None].to(device)) for part in images.values()]
    text = encoder.encode_text(texts) if texts else pictures[0][:0]
    image = torch.cat(pictures) if pictures else text[:0]

    # A text is known by what it says, an image by which object it is; texts first.
    columns = {key: column for column, key in enumerate([*texts, *images])}
    weights = torch.zeros(len(queries), len(columns))
    for row, mixture in enumerate(mixtures):
        for part, weight in mixture:
            weights[row, columns[part if isinstance(part, str) else id(part)]] += weight
    return EmbeddedQueries(text, image.to(text), weights.to(text))


def _parts_of(query: Query) -> list[tuple[str | Tensor, float]]:
    """Return texts and images with their weights."""
    parts: list[Any] = [(query, 1.0)]
    if isinstance(query, Sequence) and not isinstance(query, str):
        parts = list(query)
    if not parts or not all(map(_is_weighted, parts)):
        shown = list(query.shape) if isinstance(query, Tensor) else repr(query)[:80]
        msg = (
            f"A query must be a text, an image [3, h, w], or a list of either with "
            f"their weights, such as [('a man', 1.0), ('glasses', 0.5)], got {shown}."
        )
        raise InputError(msg)
    return [(part, float(weight)) for part, weight in parts]


def _is_weighted(pair: object) -> bool:
    if not isinstance(pair, Sequence) or len(pair) != 2:
        return False
    part, weight = pair
    is_image = isinstance(part, Tensor) and part.ndim == 3 and len(part) == 3
    is_number = isinstance(weight, int | float) and math.isfinite(weight)
    return is_number and (isinstance(part, str) or is_image)
