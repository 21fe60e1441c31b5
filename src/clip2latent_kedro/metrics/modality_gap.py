"""The modality gap: how far texts lie from the images that they describe.

CLIP keeps texts and images in two narrow cones (Liang et al. 2022): matching ones
are less alike than any two images. What carries a text over should close the gap
between the means without losing the match of each pair.
"""

from dataclasses import dataclass

import numpy as np

from clip2latent_kedro.metrics.similarity import unit_rows


@dataclass(frozen=True)
class ModalityGap:
    """What lies between texts and images, all of it of unit-length embeddings.

    Attributes:
        paired_cosine: Mean cosine of a text and an image that it describes, -1 to 1.
        mean_cosine: Cosine of the mean text and the mean image, -1 to 1.
        mean_distance: Distance of the two means, 0 to 2; the gap of Liang et al.
    """

    paired_cosine: float
    mean_cosine: float
    mean_distance: float


def modality_gap(
    text_embedding: np.ndarray, image_embedding: np.ndarray
) -> ModalityGap:
    """Return the gap between texts, bridged or not, and images that match them.

    Args:
        text_embedding: [n, clip_dim], or some of each text, [n, r, clip_dim].
        image_embedding: Of images of each text, [n, clip_dim] or [n, k, clip_dim].

    Raises:
        ValueError: If the numbers of texts differ.
    """
    if len(text_embedding) != len(image_embedding):
        msg = (
            f"image_embedding must hold images of {len(text_embedding)} texts, got "
            f"{len(image_embedding)}."
        )
        raise ValueError(msg)
    text, image = (
        unit_rows(embedding).reshape(len(embedding), -1, embedding.shape[-1]).mean(1)
        for embedding in (text_embedding, image_embedding)
    )  # each [n, clip_dim]
    text_mean, image_mean = text.mean(axis=0), image.mean(axis=0)
    return ModalityGap(
        paired_cosine=float(np.einsum("nd,nd->n", text, image).mean()),
        mean_cosine=float(unit_rows(text_mean) @ unit_rows(image_mean)),
        mean_distance=float(np.linalg.norm(text_mean - image_mean)),
    )
