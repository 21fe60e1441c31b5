"""Pictures of latents in the encoder's space."""

import torch
from torch import Tensor

from clip2latent_kedro.generators import synthesise_latents
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import Latents


@torch.no_grad()
def embed_pictures(
    generator: Generator, encoder: Encoder, latents: Latents, *, batch_size: int
) -> Tensor:
    """Return embeddings of the pictures of latents, [n, clip_dim], not normalised.

    Args:
        generator: On the device of the latents.
        encoder: Likewise.
        latents: Of n pictures.
        batch_size: Pictures at a time.
    """
    embeddings = []
    for rows in torch.split(torch.arange(len(latents.w)), batch_size):
        offset = latents.style_offset
        part = Latents(latents.w[rows], None if offset is None else offset[rows])
        embeddings.append(encoder.encode_image(synthesise_latents(generator, part)))
    return torch.cat(embeddings)
