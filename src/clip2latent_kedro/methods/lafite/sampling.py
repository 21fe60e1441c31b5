"""Images of texts by a trained LAFITE."""

from itertools import product

import torch
from torch import Tensor

from clip2latent_kedro.generators.text_adapter import TextGenerator
from clip2latent_kedro.prior.sampling import noise_streams


@torch.no_grad()
def sample_lafite(
    model: TextGenerator,
    text_embedding: Tensor,
    *,
    num_samples: int,
    seed: int,
    psi: float = 1.0,
    batch_size: int = 64,
) -> Tensor:
    """Return images, [n, num_samples, 3, resolution, resolution], about [-1, 1].

    Args:
        model: On the device of the embeddings.
        text_embedding: CLIP's, of any length, [n, text_dim].
        num_samples: Of each text.
        seed: z of sample j of text i depends on (seed, i, j) alone.
        psi: Truncation of w.
        batch_size: Images drawn at a time.
    """
    z = draw_z(len(text_embedding), num_samples, model.z_dim, seed)
    z = z.to(text_embedding).flatten(0, 1)
    text = text_embedding.repeat_interleave(num_samples, dim=0)
    images = [
        model.sample(*part, psi=psi)
        for part in zip(
            torch.split(z, batch_size), torch.split(text, batch_size), strict=True
        )
    ]
    drawn = torch.cat(images)
    return drawn.view(-1, num_samples, *drawn.shape[1:])


def draw_z(num_texts: int, num_samples: int, z_dim: int, seed: int) -> Tensor:
    """Return z, [num_texts, num_samples, z_dim]; each has a stream of its own."""
    streams = list(product(range(num_texts), range(num_samples)))
    z = next(noise_streams(seed, streams, (1, z_dim)))
    return z.view(num_texts, num_samples, z_dim)
