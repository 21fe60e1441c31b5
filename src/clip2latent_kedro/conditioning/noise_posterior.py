"""What noise on the embeddings in training makes of the answers of a prior.

Training turns the embedding u of an image into the direction v of u + s n, |n| = 1 (see
`prior.diffusion.perturb_embedding`), and asks which w it was. The best answer to a
query v is the posterior

    p(w | v) ~ p(w) p(v | u(w)),

and p(v | u) depends on c = cos(v, u) alone. A ray of direction v meets the sphere of
radius s around u where |r v - u| = s, at r = c + q and, for s < 1, at r = c - q, with
q = sqrt(s^2 - 1 + c^2). In d dimensions the ray sees of an even measure on that sphere

    p(v | u) ~ sum over r of r^(d-1) / q.

For s >= 1 its logarithm has the slope (d - 1) / q - c / q^2 in c, which changes slowly:
near a cosine c the answer is p(w) exp(beta cos(v, u(w))) with beta = (d - 1) / q. That
is how a model of CLIP's kind weighs images for a text, with its logit scale as beta. If
the length of u + s n were kept, beta would be d / s^2, to which this comes for small s.
"""

import math

import torch
from torch import Tensor


def log_density(cosine: Tensor, noise_scale: float, *, dim: int) -> Tensor:
    """Return log p(v | u) up to a constant, of the shape of `cosine`.

    Args:
        cosine: Of noisy and plain embedding, in [-1, 1].
        noise_scale: s, above 0. Below 1 no v lies further off than its sine says, and
            the logarithm is minus infinity there.
        dim: Width d of the embeddings, 2 or more.
    """
    cosine = cosine.double()
    square = cosine.square() + (noise_scale**2 - 1)
    q = square.clamp(min=1e-12).sqrt()
    near, far = cosine - q, cosine + q
    found = (dim - 1) * far.clamp(min=1e-300).log()
    if noise_scale < 1:
        found = torch.logaddexp(found, (dim - 1) * near.clamp(min=1e-300).log())
        found = found.masked_fill((square < 0) | (cosine < 0), -torch.inf)
    return found - q.log()


def posterior_sharpness(noise_scale: float, *, dim: int, cosine: float) -> float:
    """Return beta of a level of noise near a cosine; infinite where it allows none.

    Args:
        noise_scale: s, above 0.
        dim: Width of the embeddings.
        cosine: Of queries and images that answer them.
    """
    square = noise_scale**2 - 1 + cosine**2
    return (dim - 1) / math.sqrt(square) if square > 0 else math.inf


def noise_for_sharpness(beta: float, *, dim: int, cosine: float) -> float:
    """Return the level of noise whose posterior has sharpness beta near a cosine.

    Args:
        beta: Above 0, such as the logit scale of a CLIP.
        dim: Width of the embeddings.
        cosine: Of queries and images that answer them.
    """
    square = ((dim - 1) / beta) ** 2 + 1 - cosine**2
    return math.sqrt(square)
