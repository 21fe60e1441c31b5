"""What the mapping network learns from, each term by itself.

The abstract says that the image is reconstructed, and not by which distance: the terms
and their weights are ours.
"""

from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.latents import LatentGaussian


def latent_distance(w: Tensor, target: Tensor, gaussian: LatentGaussian) -> Tensor:
    """Return the mean squared difference in units of the Gaussian, a scalar.

    Args:
        w: [n, num_latents, w_dim].
        target: The w to come near to, of the same shape.
        gaussian: Fitted to the w of all pairs.
    """
    return gaussian.whiten(w - target).square().mean()


def pixel_distance(image: Tensor, target: Tensor, low_pass: int) -> Tensor:
    """Return the mean absolute difference of images after a low-pass filter, a scalar.

    Args:
        image: [n, 3, h, w] in [-1, 1].
        target: The images to come near to, of the same shape and range.
        low_pass: Pixels a side of the squares whose means are compared.
    """
    difference = F.avg_pool2d(image - target, low_pass, ceil_mode=True)
    return difference.abs().mean()


def clip_distance(clip_embedding: Tensor, target: Tensor) -> Tensor:
    """Return the mean of 1 - cosine of embeddings, [n, clip_dim], in [0, 2]."""
    return (1 - F.cosine_similarity(clip_embedding, target, dim=-1)).mean()
