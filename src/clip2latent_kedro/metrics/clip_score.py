"""CLIP score: cosine of image and text, in [-1, 1]."""

from math import comb

import numpy as np

from clip2latent_kedro.metrics.similarity import unit_rows


def clip_scores(image_embedding: np.ndarray, text_embedding: np.ndarray) -> np.ndarray:
    """Return the cosine of each sample with its prompt.

    Args:
        image_embedding: [num_prompts, n_samples, clip_dim], of any length; one of
            length 0, in which an encoder sees nothing, has a score of 0.
        text_embedding: [num_prompts, clip_dim], of any length.

    Returns:
        Scores in [-1, 1], [num_prompts, n_samples] float64.

    Raises:
        ValueError: If the numbers of prompts differ.
    """
    if len(image_embedding) != len(text_embedding):
        msg = (
            f"image_embedding must hold the samples of {len(text_embedding)} prompts, "
            f"got {len(image_embedding)}."
        )
        raise ValueError(msg)
    is_nothing = ~np.any(image_embedding, axis=-1)  # [num_prompts, n_samples]
    text = unit_rows(text_embedding)
    image = unit_rows(np.where(is_nothing[..., None], text[:, None], image_embedding))
    scores: np.ndarray = np.einsum("pnd,pd->pn", image, text)
    return np.where(is_nothing, 0.0, scores)


def best_of(scores: np.ndarray, n: int) -> np.ndarray:
    """Return the expected highest score among n samples of a prompt.

    The mean over all subsets of n of the N samples: the i-th lowest is the highest
    of C(i - 1, n - 1) of the C(N, n) subsets. n = 1 is the mean, n = N the maximum,
    which is what clip2latent reports (n = 16).

    Args:
        scores: [num_prompts, n_samples].
        n: 1 to n_samples.

    Returns:
        One value a prompt, [num_prompts] float64.

    Raises:
        ValueError: If there are fewer than n samples.
    """
    n_samples = scores.shape[1]
    if not 1 <= n <= n_samples:
        msg = f"n must be 1 to the {n_samples} samples of a prompt, got {n}."
        raise ValueError(msg)
    weights = [comb(i, n - 1) / comb(n_samples, n) for i in range(n_samples)]
    best: np.ndarray = np.sort(scores, axis=1).astype(np.float64) @ np.array(weights)
    return best
