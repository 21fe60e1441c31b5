"""Scores of each prompt, and the samples that CLIP likes best."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from clip2latent_kedro.latents import LatentGaussian
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.metrics.attributes import attribute_accuracy
from clip2latent_kedro.metrics.blends import find_blends
from clip2latent_kedro.metrics.clip_score import best_of, clip_scores
from clip2latent_kedro.metrics.diversity import embedding_diversity, pixel_diversity
from clip2latent_kedro.study.samples import Samples

SCORES = {
    "clip_score": "Cosine of image and text, mean of the samples",
    "clip_score_best": "Cosine of image and text, best of the samples",
    "held_out_score": "Cosine by the encoder that only scores, mean of the samples",
    "held_out_score_best": "The same, of the sample that CLIP likes best",
    "accuracy": "Share of the stated attributes that the judge sees, one sample",
    "accuracy_best": "The same, of the sample that CLIP likes best",
    "all_right": "Share of images with every stated attribute right, one sample",
    "all_right_best": "The same, of the sample that CLIP likes best",
    "blended": "Share of images in which the judge is unsure of what can be seen",
    "detected": "Share of images in which the detector finds the subject",
    "clip_diversity": "1 - cosine between images of one prompt",
    "pixel_diversity": "RMS difference between images of one prompt",
    "w_distance": "Distance of w from the mean of the training data, over their spread",
}


def score_prompts(
    samples: Samples,
    queries: Queries,
    gaussian: LatentGaussian | None = None,
    latent_repeats: Sequence[int] = (),
) -> dict[str, np.ndarray]:
    """Return the scores of one method, each [num_prompts] (see `SCORES`).

    A score that does not apply is NaN: those of an encoder or a judge that is not
    there, blends by a judge that does not say how sure it is, accuracy where nothing
    is stated, diversity of a single sample, the distance of what has no w.

    Args:
        samples: What `sample_images` returned.
        queries: What was asked.
        gaussian: Of the training data; None leaves the distance out.
        latent_repeats: Layers that each latent of the Gaussian stands for.
    """
    cosine = _cosines(samples, queries)
    num_prompts, num_samples = cosine.shape
    best = cosine.argmax(axis=1)[:, None]  # [num_prompts, 1]
    seen = samples["seen"]
    of_all = attribute_accuracy(seen, queries.stated)
    of_best = attribute_accuracy(
        np.take_along_axis(seen, best[..., None], axis=1), queries.stated
    )
    scores = {name: np.full(num_prompts, np.nan) for name in SCORES} | {
        "clip_score": best_of(cosine, 1),
        "clip_score_best": best_of(cosine, num_samples),
        "accuracy": of_all.by_prompt,
        "accuracy_best": of_best.by_prompt,
        "all_right": of_all.all_right,
        "all_right_best": of_best.all_right,
    }
    image, text = samples.get("held_out_embedding"), queries.held_out_embedding
    if image is not None and text is not None:
        held_out = clip_scores(image, text.float().cpu().numpy())
        scores["held_out_score"] = best_of(held_out, 1)
        of_best_by_clip = np.take_along_axis(held_out, best, axis=1)[:, 0]
        scores["held_out_score_best"] = of_best_by_clip
    if "certainty" in samples:
        scores["blended"] = find_blends(samples["certainty"]).mean(axis=1)
    if "detected" in samples:
        scores["detected"] = samples["detected"].mean(axis=1)
    if num_samples > 1:
        scores["clip_diversity"] = embedding_diversity(samples["image_embedding"])
        scores["pixel_diversity"] = pixel_diversity(samples["pixel_distance"])
    if gaussian is not None and "w" in samples:
        scores["w_distance"] = _gaussian_distance(
            samples["w"], gaussian, latent_repeats
        )
    return scores


def best_samples(samples: Samples, queries: Queries) -> np.ndarray:
    """Return which sample of each prompt CLIP likes best, [num_prompts] int."""
    best: np.ndarray = _cosines(samples, queries).argmax(axis=1)
    return best


def applying_scores(scores: Samples, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the scores that apply to any prompt, [num_seeds, num_prompts] each.

    Args:
        scores: By name, [num_seeds, num_prompts], NaN where one does not apply.
        names: Of the scores.
    """
    there = {name: scores[name] for name in names if name in scores}
    return {
        name: values
        for name, values in there.items()
        if np.isfinite(values).all(axis=0).any()
    }


def choose_best(
    samples: Samples, queries: Queries, best_of: int, num_samples: int
) -> dict[str, np.ndarray]:
    """Return, for each kept sample, the one of `best_of` that CLIP likes best.

    Kept sample j is chosen from the samples j, j + num_samples, j + 2 num_samples, ...

    Args:
        samples: `best_of * num_samples` of each query, or more.
        queries: What they were drawn of.
        best_of: How many samples each is chosen from.
        num_samples: How many are kept.
    """
    cosine = _cosines(samples, queries)[:, : best_of * num_samples]
    rounds = cosine.reshape(len(cosine), best_of, num_samples).argmax(axis=1)
    chosen = rounds * num_samples + np.arange(num_samples)  # [num_queries, num_samples]
    query = np.arange(len(chosen))[:, None]
    kept = {
        name: array[query, chosen]
        for name, array in samples.items()
        if name != "pixel_distance"
    }
    between = query[..., None], chosen[:, :, None], chosen[:, None, :]
    return {**kept, "pixel_distance": samples["pixel_distance"][between]}


def _gaussian_distance(
    w: np.ndarray, gaussian: LatentGaussian, latent_repeats: Sequence[int]
) -> np.ndarray:
    """Return the mean distance of each prompt's samples, [num_prompts].

    Where truncation spares some layers of a latent, that of their mean.

    Args:
        w: [num_prompts, num_samples, num_ws, w_dim].
        gaussian: Of the training data.
        latent_repeats: Layers of each latent.
    """
    every = torch.from_numpy(w).flatten(0, 1)  # [n, num_ws, w_dim]
    layers = torch.split(every, list(latent_repeats), dim=1)
    latents = torch.stack([group.mean(dim=1) for group in layers], dim=1)
    distances = gaussian.distance(latents).double().view(w.shape[:2])
    mean: np.ndarray = distances.mean(dim=1).numpy()
    return mean


def _cosines(samples: Samples, queries: Queries) -> np.ndarray:
    """Return the cosine of each image with its prompt, [num_prompts, num_samples]."""
    text_embedding = queries.embedding.float().cpu().numpy()
    return clip_scores(samples["image_embedding"], text_embedding)
