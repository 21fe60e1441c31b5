"""How near random images come to each text, beside what a method draws of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.metrics.clip_score import clip_scores
from clip2latent_kedro.metrics.similarity import unit_rows

AT_ONCE = 64  # images embedded at a time


@dataclass(frozen=True)
class NearestImages:
    """Of each prompt, the one of all random images that CLIP likes best.

    Attributes:
        number: Which image, [num_prompts] int; of no prompts where the encoder knows
            no text.
        clip_score: Its cosine with the text, [num_prompts].
        num_own: How many of the images have a higher cosine with this text than with
            any other of the prompts, [num_prompts] int.
        held_out_score: By the encoder that only scores, which did not choose it; None
            without one.
        images: uint8 [num_prompts, h, w, 3].
    """

    number: np.ndarray
    clip_score: np.ndarray
    num_own: np.ndarray
    held_out_score: np.ndarray | None
    images: np.ndarray


def find_nearest(
    image_embedding: np.ndarray, queries: Queries
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the number, cosine and own images of each prompt (see `NearestImages`).

    Args:
        image_embedding: By the encoder, [num_images, clip_dim].
        queries: Prompts, embedded.
    """
    text = queries.embedding.float().cpu().numpy()
    is_nothing = ~image_embedding.any(axis=1, keepdims=True)  # no features: 0
    image = unit_rows(np.where(is_nothing, 1.0, image_embedding))
    cosine = np.where(is_nothing, 0.0, image @ unit_rows(text).T)
    number = cosine.argmax(axis=0)  # of [num_images, num_prompts]
    own = np.bincount(cosine.argmax(axis=1), minlength=len(number))
    return number, cosine[number, np.arange(len(number))], own


def score_held_out(image: Tensor, queries: Queries, encoder: Encoder) -> np.ndarray:
    """Return the cosine of an image with each prompt, [num_prompts].

    Args:
        image: One for each prompt, [num_prompts, 3, h, w] in [-1, 1].
        queries: Prompts, embedded by the encoder that only scores.
        encoder: That encoder.
    """
    assert queries.held_out_embedding is not None
    batches = torch.split(image, AT_ONCE)
    embedding = [encoder.encode_image(rows).float().cpu() for rows in batches]
    images = np.concatenate([rows.numpy() for rows in embedding])
    text = queries.held_out_embedding.float().cpu().numpy()
    scores: np.ndarray = clip_scores(images[:, None], text)[:, 0]
    return scores


def describe_nearest(found: NearestImages) -> Mapping[str, np.ndarray]:
    """Return columns of a table of prompts; none where the encoder knows no text."""
    if not len(found.number):
        return {}
    columns = {"own_images": found.num_own, "nearest_clip_score": found.clip_score}
    if found.held_out_score is not None:
        columns["nearest_held_out_score"] = found.held_out_score
    return columns
