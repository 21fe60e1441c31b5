"""Unit vectors, which every metric of embeddings starts from."""

import numpy as np


def unit_rows(embedding: np.ndarray) -> np.ndarray:
    """Return vectors of length 1, [..., d] float64, of embeddings [..., d].

    Raises:
        ValueError: If a vector is zero or not finite, and so has no direction.
    """
    embedding = np.asarray(embedding, dtype=np.float64)
    norm = np.linalg.norm(embedding, axis=-1, keepdims=True)
    if not np.all(np.isfinite(norm) & (norm > 0)):
        msg = "embedding must hold finite vectors other than zero."
        raise ValueError(msg)
    unit: np.ndarray = embedding / norm
    return unit
