"""From what a user asks for to the condition of the prior."""

from clip2latent_kedro.conditioning.modality_gap import (
    condition_on_image,
    condition_on_queries,
    mean_direction,
    shift_texts,
)
from clip2latent_kedro.conditioning.queries import (
    EmbeddedQueries,
    Query,
    embed_queries,
)
from clip2latent_kedro.conditioning.retrieval import RetrievalBank

__all__ = [
    "EmbeddedQueries",
    "Query",
    "RetrievalBank",
    "condition_on_image",
    "condition_on_queries",
    "embed_queries",
    "mean_direction",
    "shift_texts",
]
