"""How far pictures are from a text, as functions of the cosine of their embeddings."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.methods.optimisation.config import Loss

LEAST_COSINE = 0.2  # of 1 / cosine; continued as a straight line below


def inverse_cosine(image: Tensor, text: Tensor) -> Tensor:
    """Return 1 / cosine, as "Generating images from CLIP" has it (100 / logit).

    Published CLIPs give hardly a cosine below 0.2. Others do, and 1 / cosine has a pole
    at 0: below 0.2 the loss goes on along its tangent.
    """
    cosine = (image * text).sum(dim=-1)
    tangent = (2 - cosine / LEAST_COSINE) / LEAST_COSINE
    return torch.where(
        cosine > LEAST_COSINE, 1 / cosine.clamp_min(LEAST_COSINE), tangent
    )


def one_minus_cosine(image: Tensor, text: Tensor) -> Tensor:
    """Return 1 - cosine (StyleCLIP, Eq. 1)."""
    return 1 - (image * text).sum(dim=-1)


def spherical(image: Tensor, text: Tensor) -> Tensor:
    """Return half the squared angle, 2 asin^2(|x - y| / 2), of unit vectors.

    Its gradient does not fade as that of 1 - cosine does near opposite vectors.
    """
    chord = (image - text).norm(dim=-1)
    return 2 * torch.asin((chord / 2).clamp(max=1 - 1e-6)).square()


LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "inverse_cosine": inverse_cosine,
    "one_minus_cosine": one_minus_cosine,
    "spherical": spherical,
}


def text_loss(name: Loss, embedding: Tensor, target: Tensor) -> Tensor:
    """Return the loss of each picture, the mean over its views, [n].

    Args:
        name: A name of `LOSSES`.
        embedding: Of the views, [num_views, n, clip_dim], of any length.
        target: Of the texts, [n, clip_dim], of any length.
    """
    image = functional.normalize(embedding, dim=-1)
    return LOSSES[name](image, functional.normalize(target, dim=-1)).mean(dim=0)
