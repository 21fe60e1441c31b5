"""Scores of each prompt, and their means with intervals over prompts."""

from collections.abc import Mapping

import numpy as np

from clip2latent_kedro.evaluation.drawing import Drawn
from clip2latent_kedro.evaluation.method import Queries
from clip2latent_kedro.metrics.attributes import attribute_accuracy
from clip2latent_kedro.metrics.bootstrap import Interval, bootstrap_mean
from clip2latent_kedro.metrics.clip_score import best_of, clip_scores
from clip2latent_kedro.metrics.diversity import embedding_diversity, pixel_diversity
from clip2latent_kedro.runtime import derive_seed

SCORES = {
    "clip_score": "Cosine of image and text, mean of the samples",
    "clip_score_best": "Cosine of image and text, best of the samples",
    "accuracy": "Share of the stated attributes that the judge sees, one sample",
    "accuracy_best": "The same, of the sample that CLIP likes best",
    "all_right": "Share of images with every stated attribute right, one sample",
    "all_right_best": "The same, of the sample that CLIP likes best",
    "clip_diversity": "1 - cosine between images of one prompt",
    "pixel_diversity": "RMS difference between images of one prompt",
}


def score_prompts(drawn: Drawn, queries: Queries) -> dict[str, np.ndarray]:
    """Return the scores of one method, each [num_prompts] (see `SCORES`).

    A score that does not apply is NaN: accuracy where nothing is stated or without
    a judge, diversity of a single sample.
    """
    cosine = _cosines(drawn, queries)
    num_prompts, num_samples = cosine.shape
    best = best_samples(drawn, queries)[:, None, None]
    all_samples = attribute_accuracy(drawn.seen, queries.stated)
    of_best = attribute_accuracy(
        np.take_along_axis(drawn.seen, best, axis=1), queries.stated
    )
    alone = np.full(num_prompts, np.nan)
    return {
        "clip_score": best_of(cosine, 1),
        "clip_score_best": best_of(cosine, num_samples),
        "accuracy": all_samples.by_prompt,
        "accuracy_best": of_best.by_prompt,
        "all_right": all_samples.all_right,
        "all_right_best": of_best.all_right,
        "clip_diversity": (
            embedding_diversity(drawn.image_embedding) if num_samples > 1 else alone
        ),
        "pixel_diversity": pixel_diversity(drawn.images) if num_samples > 1 else alone,
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


def _cosines(drawn: Drawn, queries: Queries) -> np.ndarray:
    """Return the cosine of each image with its prompt, [num_prompts, num_samples]."""
    text_embedding = queries.embedding.float().cpu().numpy()
    return clip_scores(drawn.image_embedding, text_embedding)
