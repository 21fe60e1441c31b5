"""How much the samples of one prompt differ from each other."""

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.metrics.similarity import unit_rows


def embedding_diversity(embedding: np.ndarray) -> np.ndarray:
    """Return the mean pairwise 1 - cosine of each prompt's samples.

    With s the sum of N unit vectors, the N (N - 1) ordered pairs of different
    samples have cosines that sum to |s|^2 - N.

    Args:
        embedding: Image embeddings, [num_prompts, n_samples, d], n_samples >= 2.

    Returns:
        Values in [0, 2], [num_prompts] float64.
    """
    _check_samples(embedding)
    n_samples = embedding.shape[1]
    total = unit_rows(embedding).sum(axis=1)
    pairs = np.square(total).sum(axis=-1) - n_samples
    cosine = pairs / (n_samples * (n_samples - 1))
    distance: np.ndarray = 1 - np.minimum(cosine, 1)  # 1 + rounding if identical
    return distance


def pixel_distances(images: Tensor) -> np.ndarray:
    """Return the RMS difference of each two images of a prompt.

    Args:
        images: [n_samples, 3, h, w] in [-1, 1]; what lies outside is taken as it is
            shown, at the ends.

    Returns:
        Values in [0, 1], where 1 is black against white, [n_samples, n_samples].
    """
    pixels = (images.float().clamp(-1, 1) / 2).flatten(1)
    rows = [(pixels - one).square().mean(dim=1).sqrt() for one in pixels]
    return torch.stack(rows).cpu().numpy()


def pixel_diversity(pixel_distance: np.ndarray) -> np.ndarray:
    """Return the mean difference of two images of each prompt.

    Args:
        pixel_distance: Of `pixel_distances`, [num_prompts, n_samples, n_samples],
            n_samples >= 2.

    Returns:
        Values in [0, 1], [num_prompts] float64.
    """
    _check_samples(pixel_distance)
    n_samples = pixel_distance.shape[1]
    total = pixel_distance.sum(axis=(1, 2), dtype=np.float64)
    mean: np.ndarray = total / (n_samples * (n_samples - 1))
    return mean


def _check_samples(samples: np.ndarray) -> None:
    if samples.shape[1] < 2:
        msg = (
            f"diversity needs at least 2 samples of each prompt, "
            f"got shape {list(samples.shape)}."
        )
        raise ValueError(msg)
