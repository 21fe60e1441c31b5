"""From a method's samples to what is stored and scored of them, batch by batch."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Encoder, Judge
from clip2latent_kedro.methods.method import Method, Queries, Trajectory
from clip2latent_kedro.metrics.clip_score import clip_scores
from clip2latent_kedro.metrics.diversity import pixel_distances


@dataclass(frozen=True)
class Curve:
    """How the scores of a method that goes step by step change on its way.

    Attributes:
        steps: After how many steps, rising, [k] int.
        clip_score: Cosine of image and text, [k, num_prompts, num_samples].
        held_out_score: The same by the encoder that only scores; None without one.
    """

    steps: np.ndarray
    clip_score: np.ndarray
    held_out_score: np.ndarray | None = None


@dataclass(frozen=True)
class Drawn:
    """The answers of one method.

    Attributes:
        images: uint8, [num_prompts, num_samples, h, w, 3].
        image_embedding: [num_prompts, num_samples, clip_dim].
        pixel_distance: Between the images of a prompt at full size, [num_prompts,
            num_samples, num_samples].
        seen: The judge's value indices, [num_prompts, num_samples, num_attributes]
            int; no attributes without a judge.
        w: [num_prompts, num_samples, num_ws, w_dim]; None if the method has none.
        held_out_embedding: By the encoder that only scores, [num_prompts,
            num_samples, its clip_dim]; None without one.
        curve: How the samples came about; None if the method does not say.
    """

    images: np.ndarray
    image_embedding: np.ndarray
    pixel_distance: np.ndarray
    seen: np.ndarray
    w: np.ndarray | None
    held_out_embedding: np.ndarray | None = None
    curve: Curve | None = None


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
    held_out: Encoder | None = None,
) -> Drawn:
    """Return a method's answers, embedded and judged at full size.

    Args:
        method: On the device of the encoder.
        queries: Prompts.
        encoder: Scores the images.
        judge: Names their attributes; None if there is no judge.
        num_samples: Images of each prompt; a method may have fewer.
        image_batch_size: Images in memory at a time, but for the stored ones and those
            of one prompt.
        stored_image_size: Larger images are shrunk to this side to be stored.
        seed: Seed of the run.
        held_out: Scores the images too; None if there is none.
    """
    samples, trajectory = method.sample_with_trajectory(
        queries, num_samples=num_samples, seed=seed
    )
    images, embeddings, held_out_embeddings, labels = [], [], [], []
    of_prompt: list[Tensor] = []  # images that wait for the others of their prompt
    distances: list[np.ndarray] = []
    for batch in torch.split(samples.flatten(0, 1), image_batch_size):
        image = method.synthesise(batch).to(queries.embedding.device)
        embeddings.append(encoder.encode_image(image).float().cpu().numpy())
        if held_out is not None:
            held_out_embeddings.append(held_out.encode_image(image).float().cpu())
        if judge is not None:
            labels.append(judge.classify(image).cpu().numpy())
        images.append(image_to_uint8(shrink_images(image, stored_image_size)))
        for one in image:
            of_prompt.append(one)
            if len(of_prompt) == samples.shape[1]:
                distances.append(pixel_distances(torch.stack(of_prompt)))
                of_prompt.clear()

    def by_prompt(batches: list[np.ndarray]) -> np.ndarray:
        rows = np.concatenate(batches)
        return rows.reshape(*samples.shape[:2], *rows.shape[1:])

    without_judge = np.empty((*samples.shape[:2], 0), dtype=np.int64)
    return Drawn(
        images=by_prompt(images),
        image_embedding=by_prompt(embeddings),
        pixel_distance=np.stack(distances),
        seen=by_prompt(labels) if judge is not None else without_judge,
        w=samples.float().cpu().numpy() if method.gives_w else None,
        held_out_embedding=(
            None
            if held_out is None
            else by_prompt([batch.numpy() for batch in held_out_embeddings])
        ),
        curve=(
            None
            if trajectory is None
            else _score_trajectory(
                method, trajectory, queries, encoder, held_out, image_batch_size
            )
        ),
    )


def _score_trajectory(
    method: Method,
    trajectory: Trajectory,
    queries: Queries,
    encoder: Encoder,
    held_out: Encoder | None,
    image_batch_size: int,
) -> Curve:
    """Return the cosines of every image on the way with its text."""
    by_query = trajectory.samples.shape[:3]  # [k, num_prompts, num_samples]
    embeddings: list[list[np.ndarray]] = [[], []]
    for batch in torch.split(trajectory.samples.flatten(0, 2), image_batch_size):
        image = method.synthesise(batch)
        for found, by in zip(embeddings, (encoder, held_out), strict=True):
            if by is not None:
                found.append(by.encode_image(image).float().cpu().numpy())

    def score(found: list[np.ndarray], text_embedding: Tensor) -> np.ndarray:
        of_images = np.concatenate(found).reshape(*by_query, -1)
        text = text_embedding.float().cpu().numpy()
        return np.stack([clip_scores(of_step, text) for of_step in of_images])

    text = queries.held_out_embedding
    return Curve(
        np.array(trajectory.steps),
        score(embeddings[0], queries.embedding),
        None if held_out is None or text is None else score(embeddings[1], text),
    )


def shrink_images(image: Tensor, size: int) -> Tensor:
    """Return images, [n, 3, h, w], by area to a side of `size`, if they are larger."""
    if max(image.shape[-2:]) <= size:
        return image
    return functional.interpolate(image, size=(size, size), mode="area")
