"""From prompts to what is stored and scored of a method's images, batch by batch."""

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.batches import map_batches
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Judge
from clip2latent_kedro.methods.method import Method, Queries, Trajectory
from clip2latent_kedro.metrics.clip_score import clip_scores
from clip2latent_kedro.metrics.diversity import pixel_distances
from clip2latent_kedro.study.judging import judge_images

if TYPE_CHECKING:
    from clip2latent_kedro.methods.models import Models

Samples = Mapping[str, np.ndarray]
"""Arrays by name (see `sample_images`), which may be read when they are asked for."""


@torch.no_grad()
def sample_images(
    method: Method,
    queries: Queries,
    models: "Models",
    *,
    num_samples: int,
    seed: int,
    stored_image_size: int,
) -> dict[str, np.ndarray]:
    """Return a method's images of each prompt, embedded and judged at full size.

    Args:
        method: On the device of the models.
        queries: Prompts.
        models: Encoders and judge, and how many images are in memory at a time, but
            for the stored ones and those of one prompt.
        num_samples: Images of each prompt; a method may have fewer.
        seed: Seed of the run.
        stored_image_size: Larger images are shrunk to this side to be stored.

    Returns:
        `images`, uint8 [num_prompts, num_samples, h, w, 3]; `image_embedding`,
        [num_prompts, num_samples, clip_dim]; `held_out_embedding`, likewise, if there
        is such an encoder; `pixel_distance` between the images of a prompt at full
        size, [num_prompts, num_samples, num_samples]; `seen`, the judge's value
        indices, [num_prompts, num_samples, num_attributes] int, of no attributes
        without a judge; `certainty`, the largest probability of each of them,
        [num_prompts, num_samples, num_attributes], NaN where it cannot be seen, if
        the judge gives it; `detected`, whether it finds the domain's subject,
        [num_prompts, num_samples] bool, likewise; `w`, [num_prompts, num_samples,
        num_ws, w_dim], if the method gives it. Of a method that goes step by step
        also its curve: `curve_steps`, after how many steps, [k] int, and the cosines
        of image and text then, `curve_clip_score` and `curve_held_out_score`, [k,
        num_prompts, num_samples].
    """
    samples, trajectory = method.sample_with_trajectory(
        queries, num_samples=num_samples, seed=seed
    )
    encoders = {"image_embedding": models.encoder}
    if models.held_out is not None:
        encoders["held_out_embedding"] = models.held_out
    judge = models.judge

    def see(batch: Tensor) -> tuple[Tensor, dict[str, np.ndarray]]:
        image = method.synthesise(batch).to(queries.embedding.device)
        seen = {"images": image_to_uint8(shrink_images(image, stored_image_size))}
        for name, encoder in encoders.items():
            seen[name] = encoder.encode_image(image).float().cpu().numpy()
        return image, seen if judge is None else {**seen, **_judge(judge, image)}

    batches: dict[str, list[np.ndarray]] = defaultdict(list)
    of_prompt: list[Tensor] = []  # images that wait for the others of their prompt
    distances: list[np.ndarray] = []
    rows, size = samples.flatten(0, 1), models.image_batch_size
    setting = "evaluation.image_batch_size"
    for image, seen in map_batches(see, rows, size, setting=setting):
        for name, said in seen.items():
            batches[name].append(said)
        for one in image:
            of_prompt.append(one)
            if len(of_prompt) == samples.shape[1]:
                distances.append(pixel_distances(torch.stack(of_prompt)))
                of_prompt.clear()

    by_prompt = samples.shape[:2]
    arrays = {name: np.concatenate(parts) for name, parts in batches.items()}
    found = {name: a.reshape(*by_prompt, *a.shape[1:]) for name, a in arrays.items()}
    found.setdefault("seen", np.empty((*by_prompt, 0), dtype=np.int64))
    found["pixel_distance"] = np.stack(distances)
    if method.gives_w:
        found["w"] = samples.float().cpu().numpy()
    if trajectory is not None and trajectory.steps:
        found |= _score_trajectory(method, trajectory, queries, models)
    return found


def _judge(judge: Judge, image: Tensor) -> dict[str, np.ndarray]:
    """Return what a judge says of images, by the name that it is stored by."""
    judgement = judge_images(judge, image)
    said = {
        "seen": judgement.values,
        "certainty": judgement.certainty,
        "detected": judgement.detected,
    }
    return {k: part.cpu().numpy() for k, part in said.items() if part is not None}


def _score_trajectory(
    method: Method, trajectory: Trajectory, queries: Queries, models: "Models"
) -> dict[str, np.ndarray]:
    """Return the cosines of every image on the way with its text, and after what."""
    by_query = trajectory.samples.shape[:3]  # [k, num_prompts, num_samples]
    scorers = {"curve_clip_score": (models.encoder, queries.embedding)}
    if models.held_out is not None and queries.held_out_embedding is not None:
        of_held_out = models.held_out, queries.held_out_embedding
        scorers["curve_held_out_score"] = of_held_out
    embeddings: dict[str, list[np.ndarray]] = {name: [] for name in scorers}
    batches = torch.split(trajectory.samples.flatten(0, 2), models.image_batch_size)
    for batch in batches:
        image = method.synthesise(batch)
        for name, (encoder, _) in scorers.items():
            embeddings[name].append(encoder.encode_image(image).float().cpu().numpy())
    curve = {"curve_steps": np.array(trajectory.steps)}
    for name, (_, text_embedding) in scorers.items():
        of_images = np.concatenate(embeddings[name]).reshape(*by_query, -1)
        text = text_embedding.float().cpu().numpy()
        curve[name] = np.stack([clip_scores(of_step, text) for of_step in of_images])
    return curve


def shrink_images(image: Tensor, size: int) -> Tensor:
    """Return images, [n, 3, h, w], by area to a side of `size`, if they are larger."""
    if max(image.shape[-2:]) <= size:
        return image
    return functional.interpolate(image, size=(size, size), mode="area")
