"""From a method's samples to what is stored and scored of them, batch by batch."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.evaluation.method import Method, Queries
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Encoder, Judge


@dataclass(frozen=True)
class Drawn:
    """The answers of one method.

    Attributes:
        images: uint8, [num_prompts, num_samples, h, w, 3].
        image_embedding: [num_prompts, num_samples, clip_dim].
        seen: The judge's value indices, [num_prompts, num_samples, num_attributes]
            int; no attributes without a judge.
        w: [num_prompts, num_samples, num_ws, w_dim]; None if the method has none.
    """

    images: np.ndarray
    image_embedding: np.ndarray
    seen: np.ndarray
    w: np.ndarray | None


@torch.no_grad()
def draw_row(
    method: Method,
    queries: Queries,
    *,
    encoder: Encoder,
    judge: Judge | None,
    num_samples: int,
    image_batch_size: int,
    stored_image_size: int,
    seed: int,
) -> Drawn:
    """Return a method's answers, embedded and judged at full size.

    Args:
        method: On the device of the encoder.
        queries: Prompts.
        encoder: Scores the images.
        judge: Names their attributes; None if there is no judge.
        num_samples: Images of each prompt; a method may have fewer.
        image_batch_size: Images in memory at a time, but for the stored ones.
        stored_image_size: Larger images are shrunk to this side to be stored.
        seed: Seed of the run.
    """
    samples = method.sample(queries, num_samples=num_samples, seed=seed)
    images, embeddings, labels = [], [], []
    for batch in torch.split(samples.flatten(0, 1), image_batch_size):
        image = method.synthesise(batch)
        embeddings.append(encoder.encode_image(image).float().cpu().numpy())
        if judge is not None:
            labels.append(judge.classify(image).cpu().numpy())
        images.append(image_to_uint8(_shrink(image, stored_image_size)))

    def by_prompt(batches: list[np.ndarray]) -> np.ndarray:
        rows = np.concatenate(batches)
        return rows.reshape(*samples.shape[:2], *rows.shape[1:])

    without_judge = np.empty((*samples.shape[:2], 0), dtype=np.int64)
    return Drawn(
        images=by_prompt(images),
        image_embedding=by_prompt(embeddings),
        seen=by_prompt(labels) if judge is not None else without_judge,
        w=samples.float().cpu().numpy() if samples.is_floating_point() else None,
    )


def _shrink(image: Tensor, size: int) -> Tensor:
    if max(image.shape[-2:]) <= size:
        return image
    return functional.interpolate(image, size=(size, size), mode="area")
