"""What embeddings of all faces of the generator have in common, to be taken away."""

import torch
from torch import Tensor

from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import make_generator

_AT_ONCE = 64


@torch.inference_mode()
def measure_mean(
    generator: Generator, encoder: Encoder, *, num_samples: int, seed: int
) -> Tensor:
    """Return the mean embedding, [embed_dim], of samples, summed in float64.

    Args:
        generator: z -> w -> image.
        encoder: One that takes no mean away itself.
        num_samples: 1 or more.
        seed: Decides the samples.
    """
    random = make_generator(seed, "identity_mean")
    z = torch.randn(num_samples, generator.z_dim, generator=random)
    total = torch.zeros(encoder.embed_dim, dtype=torch.float64)
    with progress_bar("Mean of faces", total=num_samples, unit="faces") as advance:
        for part in torch.split(z, _AT_ONCE):
            image = generator.synthesis(generator.mapping(part))
            total += encoder.encode_image(image).double().sum(dim=0)
            advance(len(part))
    return (total / num_samples).float()
