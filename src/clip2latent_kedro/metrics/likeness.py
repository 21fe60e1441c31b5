"""Whether variations of a picture are like it, or only like any picture."""

from dataclasses import dataclass

import numpy as np

from clip2latent_kedro.metrics.similarity import unit_rows


@dataclass(frozen=True)
class Likeness:
    """Cosines of variations with pictures, of one number for each picture.

    Attributes:
        own: Mean cosine of a picture's variations with it, [m].
        other: Mean cosine of its variations with the other pictures, [m].
        nearer: Share of (variation, other picture) in which the variation is nearer to
            its own picture, ties half, [m]: 0.5 if they tell nothing of it.
    """

    own: np.ndarray
    other: np.ndarray
    nearer: np.ndarray


def measure_likeness(pictures: np.ndarray, variations: np.ndarray) -> Likeness:
    """Return how like each picture its variations are.

    Args:
        pictures: Embeddings, [m, d], of two pictures or more.
        variations: Of n variations of each, [m, n, d].

    Raises:
        ValueError: If there are fewer than two pictures, or the shapes do not fit.
    """
    m, dim = pictures.shape
    if m < 2 or variations.shape[::2] != (m, dim):
        msg = (
            f"variations must have shape [m, n, d] for pictures [m, d] and m at least "
            f"2, got {list(variations.shape)} for {list(pictures.shape)}."
        )
        raise ValueError(msg)
    unit = unit_rows(variations.reshape(-1, dim))
    cosine = (unit @ unit_rows(pictures).T).reshape(m, -1, m)  # [m, n, m]
    own = np.einsum("inj,ij->in", cosine, np.eye(m))
    others = cosine[~np.eye(m, dtype=bool)[:, None].repeat(cosine.shape[1], axis=1)]
    others = others.reshape(m, -1, m - 1)
    wins = (own[..., None] > others) + 0.5 * (own[..., None] == others)
    return Likeness(own.mean(axis=1), others.mean(axis=(1, 2)), wins.mean(axis=(1, 2)))
