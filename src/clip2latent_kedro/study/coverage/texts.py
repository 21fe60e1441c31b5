"""How near random images come to each text, beside what a method draws of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.metrics.clip_score import clip_scores
from clip2latent_kedro.metrics.similarity import unit_rows


@dataclass(frozen=True)
class NearestImages:
    """Of each prompt, the one of all random images that CLIP likes best.

    Attributes:
        number: Which image, [num_prompts] int.
        clip_score: Its cosine with the text, [num_prompts].
        held_out_score: By the encoder that only scores, which did not choose it; None
            without one.
        num_own: How many of the images have a higher cosine with this text than with
            any other of the prompts, [num_prompts] int.
    """

    number: np.ndarray
    clip_score: np.ndarray
    held_out_score: np.ndarray | None
    num_own: np.ndarray


def find_nearest(samples: Mapping[str, np.ndarray], queries: Queries) -> NearestImages:
    """Return the nearest image of each prompt (see `NearestImages`).

    Args:
        samples: What `join_samples` returned.
        queries: Prompts, embedded.
    """
    image, text = samples["image_embedding"], _to_array(queries.embedding)
    is_nothing = ~image.any(axis=1, keepdims=True)  # an image without features: 0
    cosine = unit_rows(np.where(is_nothing, 1.0, image)) @ unit_rows(text).T
    cosine = np.where(is_nothing, 0.0, cosine)  # [num_images, num_prompts]
    number = cosine.argmax(axis=0)  # [num_prompts]
    held_out = None
    if "held_out_embedding" in samples and queries.held_out_embedding is not None:
        images = samples["held_out_embedding"][number]
        of_text = _to_array(queries.held_out_embedding)
        held_out = clip_scores(images[:, None], of_text)[:, 0]
    return NearestImages(
        number,
        cosine[number, np.arange(len(number))],
        held_out,
        np.bincount(cosine.argmax(axis=1), minlength=len(number)),
    )


def _to_array(embedding: Tensor) -> np.ndarray:
    array: np.ndarray = embedding.float().cpu().numpy()
    return array
