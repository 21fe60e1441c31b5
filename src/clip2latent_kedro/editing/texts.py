"""Texts of an edit in the encoder's space."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.interfaces import Encoder


@torch.no_grad()
def embed_templates(encoder: Encoder, text: str, templates: Sequence[str]) -> Tensor:
    """Return the unit mean of a text's embeddings in some templates, [clip_dim].

    Args:
        encoder: Of the texts.
        text: What is put in place of `{}`.
        templates: Such as `a photo of {}`.
    """
    embedding = encoder.encode_text([each.replace("{}", text) for each in templates])
    unit = functional.normalize(embedding.float(), dim=-1)
    return functional.normalize(unit.mean(dim=0), dim=-1)
