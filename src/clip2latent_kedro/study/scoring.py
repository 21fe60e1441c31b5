"""Scores of each prompt, and their means with intervals over prompts."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from clip2latent_kedro.latents import LatentCloud
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.metrics.attributes import attribute_accuracy
from clip2latent_kedro.metrics.bootstrap import Interval, bootstrap_mean
from clip2latent_kedro.metrics.clip_score import best_of, clip_scores
from clip2latent_kedro.metrics.diversity import embedding_diversity, pixel_diversity
from clip2latent_kedro.runtime import derive_seed
from clip2latent_kedro.study.drawing import Drawn

SCORES = {
    "clip_score": "Cosine of image and text, mean of the samples",
    "clip_score_best": "Cosine of image and text, best of the samples",
    "held_out_score": "Cosine by the encoder that only scores, mean of the samples",
    "held_out_score_best": "The same, of the sample that CLIP likes best",
    "accuracy": "Share of the stated attributes that the judge sees, one sample",
    "accuracy_best": "The same, of the sample that CLIP likes best",
    "all_right": "Share of images with every stated attribute right, one sample",
    "all_right_best": "The same, of the sample that CLIP likes best",
    "clip_diversity": "1 - cosine between images of one prompt",
    "pixel_diversity": "RMS difference between images of one prompt",
    "w_distance": "Distance of w from the mean of the training data, over their spread",
}


def score_prompts(
    drawn: Drawn,
    queries: Queries,
    cloud: LatentCloud | None = None,
    latent_repeats: Sequence[int] = (),
) -> dict[str, np.ndarray]:
    """Return the scores of one method, each [num_prompts] (see `SCORES`).

    A score that does not apply is NaN: those of an encoder or a judge that is not
    there, accuracy where nothing is stated, diversity of a single sample, the
    distance of what has no w.

    Args:
        drawn: The method's answers.
        queries: What was asked.
        cloud: Of the training data; None leaves the distance out.
        latent_repeats: Layers that each latent of the cloud stands for.
    """
    cosine = _cosines(drawn, queries)
    num_prompts, num_samples = cosine.shape
    best = best_samples(drawn, queries)[:, None, None]
    all_samples = attribute_accuracy(drawn.seen, queries.stated)
    of_best = attribute_accuracy(
        np.take_along_axis(drawn.seen, best, axis=1), queries.stated
    )
    alone = np.full(num_prompts, np.nan)
    held_out = _held_out_cosines(drawn, queries)
    return {
        "clip_score": best_of(cosine, 1),
        "clip_score_best": best_of(cosine, num_samples),
        "held_out_score": alone if held_out is None else best_of(held_out, 1),
        "held_out_score_best": (
            alone
            if held_out is None
            else np.take_along_axis(held_out, best[..., 0], axis=1)[:, 0]
        ),
        "accuracy": all_samples.by_prompt,
        "accuracy_best": of_best.by_prompt,
        "all_right": all_samples.all_right,
        "all_right_best": of_best.all_right,
        "clip_diversity": (
            embedding_diversity(drawn.image_embedding) if num_samples > 1 else alone
        ),
        "pixel_diversity": (
            pixel_diversity(drawn.pixel_distance) if num_samples > 1 else alone
        ),
        "w_distance": (
            alone
            if cloud is None or drawn.w is None
            else _cloud_distance(drawn.w, cloud, latent_repeats)
        ),
    }


def best_samples(drawn: Drawn, queries: Queries) -> np.ndarray:
    """Return which sample of each prompt CLIP likes best, [num_prompts] int."""
    best: np.ndarray = _cosines(drawn, queries).argmax(axis=1)
    return best


def summarise_scores(
    by_prompt: Mapping[str, np.ndarray],
    *,
    num_resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Interval]:
    """Return the mean over prompts of each score that applies to any of them.

    Every method is resampled with the same prompts.

    Args:
        by_prompt: What `score_prompts` returns.
        num_resamples: Bootstrap draws.
        confidence: Of the intervals.
        seed: Seed of the run.
    """
    applying = {name: values[~np.isnan(values)] for name, values in by_prompt.items()}
    return {
        name: bootstrap_mean(
            values,
            num_resamples=num_resamples,
            confidence=confidence,
            generator=np.random.default_rng(derive_seed(seed, "bootstrap")),
        )
        for name, values in applying.items()
        if len(values)
    }


def _cloud_distance(
    w: np.ndarray, cloud: LatentCloud, latent_repeats: Sequence[int]
) -> np.ndarray:
    """Return the mean distance of each prompt's samples, [num_prompts].

    Where truncation spares some layers of a latent, that of their mean.

    Args:
        w: [num_prompts, num_samples, num_ws, w_dim].
        cloud: Of the training data.
        latent_repeats: Layers of each latent.
    """
    every = torch.from_numpy(w).flatten(0, 1)  # [n, num_ws, w_dim]
    layers = torch.split(every, list(latent_repeats), dim=1)
    latents = torch.stack([group.mean(dim=1) for group in layers], dim=1)
    distances = cloud.distance(latents).double().view(w.shape[:2])
    mean: np.ndarray = distances.mean(dim=1).numpy()
    return mean


def _cosines(drawn: Drawn, queries: Queries) -> np.ndarray:
    """Return the cosine of each image with its prompt, [num_prompts, num_samples]."""
    text_embedding = queries.embedding.float().cpu().numpy()
    return clip_scores(drawn.image_embedding, text_embedding)


def _held_out_cosines(drawn: Drawn, queries: Queries) -> np.ndarray | None:
    """Return the same by the encoder that only scores; None without one."""
    image, text = drawn.held_out_embedding, queries.held_out_embedding
    if image is None or text is None:
        return None
    return clip_scores(image, text.float().cpu().numpy())
