"""Where a search begins, if nothing but the text is given."""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import LatentGaussian
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig
from clip2latent_kedro.runtime import make_generator


def draw_starts(
    generator: Generator,
    encoder: Encoder,
    text_embedding: Tensor,
    config: OptimisationConfig,
    *,
    gaussian: LatentGaussian,
    num_samples: int,
    seed: int,
) -> Tensor:
    """Return where to begin, [n, num_samples, num_ws, w_dim], by `config.start`.

    Args:
        generator: On the device of the embeddings.
        encoder: Likewise.
        text_embedding: [n, clip_dim].
        config: `start`, `num_candidates`, `candidate_psi` and `batch_size`.
        gaussian: Of w, one row for each layer; its mean is that of `mean`.
        num_samples: Of each text.
        seed: Start j of text i depends on (seed, i, j) alone.

    Raises:
        InputError: If the start is to be given.
    """
    if config.start == "samples":
        msg = (
            "optimisation.start must be zero, mean or best_of where no samples are "
            "given, got 'samples'. Use it with refine."
        )
        raise InputError(msg)
    if config.start == "best_of":
        return best_candidates(
            generator,
            encoder,
            text_embedding,
            num_candidates=config.num_candidates,
            psi=config.candidate_psi,
            num_samples=num_samples,
            seed=seed,
            batch_size=config.batch_size,
        )
    w = gaussian.mean.to(text_embedding)
    w = w if config.start == "mean" else torch.zeros_like(w)
    return w.expand(len(text_embedding), num_samples, -1, -1)


@torch.no_grad()
def best_candidates(
    generator: Generator,
    encoder: Encoder,
    text_embedding: Tensor,
    *,
    num_candidates: int,
    psi: float,
    num_samples: int,
    seed: int,
    batch_size: int,
) -> Tensor:
    """Return the best of some random w by CLIP, [n, num_samples, num_ws, w_dim].

    Args:
        generator: On the device of the embeddings.
        encoder: Likewise.
        text_embedding: [n, clip_dim], of any length.
        num_candidates: Drawn for each sample, which has candidates of its own.
        psi: Truncation of the candidates.
        num_samples: Of each text.
        seed: Sample j of text i depends on (seed, i, j) alone.
        batch_size: Pictures at a time, or those of one sample if more.
    """
    direction = functional.normalize(text_embedding.float(), dim=-1)
    samples = list(product(range(len(text_embedding)), range(num_samples)))
    at_once = max(1, batch_size // num_candidates)
    best = []
    for first in range(0, len(samples), at_once):
        batch = samples[first : first + at_once]
        z = torch.cat(
            [
                torch.randn(
                    num_candidates,
                    generator.z_dim,
                    generator=make_generator(seed, "optimisation_start", i, j),
                )
                for i, j in batch
            ]
        )
        w = generator.mapping(z.to(text_embedding), psi=psi)
        embedding = encoder.encode_image(generator.synthesis(w, noise_mode="const"))
        groups = (len(batch), num_candidates, -1)
        image = functional.normalize(embedding.float(), dim=-1).view(groups)
        wanted = direction[[i for i, _ in batch]]
        winner = torch.einsum("bcd,bd->bc", image, wanted).argmax(dim=1)
        first_of = torch.arange(len(batch), device=w.device) * num_candidates
        best.append(w[first_of + winner])
    found = torch.cat(best)
    return found.view(len(text_embedding), num_samples, *found.shape[1:])
