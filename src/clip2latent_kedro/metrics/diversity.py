"""How much the samples of one prompt differ from each other."""

import numpy as np

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


def pixel_diversity(images: np.ndarray) -> np.ndarray:
    """Return the mean pairwise RMS difference of each prompt's images.

    Args:
        images: uint8, [num_prompts, n_samples, h, w, 3], n_samples >= 2.

    Returns:
        Values in [0, 1], where 1 is black against white, [num_prompts] float64.
    """
    _check_samples(images)
    return np.array([_pairwise_rms(samples) for samples in images])


def _pairwise_rms(images: np.ndarray) -> float:
    pixels = images.reshape(len(images), -1).astype(np.float32) / 255
    distances = [
        np.sqrt(np.square(pixels[later] - pixels[first]).mean(dtype=np.float64))
        for first in range(len(pixels))
        for later in range(first + 1, len(pixels))
    ]
    return float(np.mean(distances))


def _check_samples(samples: np.ndarray) -> None:
    if samples.shape[1] < 2:
        msg = (
            f"diversity needs at least 2 samples of each prompt, "
            f"got shape {list(samples.shape)}."
        )
        raise ValueError(msg)
