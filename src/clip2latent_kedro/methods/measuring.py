"""How well a trained method draws what it is told, by the same scores as all else."""

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.interfaces import Encoder, Judge
from clip2latent_kedro.metrics.attributes import attribute_accuracy
from clip2latent_kedro.metrics.clip_score import best_of, clip_scores
from clip2latent_kedro.metrics.diversity import embedding_diversity


@torch.no_grad()
def measure_samples(
    images: Tensor,
    text_embedding: Tensor,
    stated: np.ndarray,
    encoder: Encoder,
    judge: Judge | None,
) -> dict[str, float]:
    """Return means over prompts of what can be measured.

    `clip_score` of one sample and `clip_score_best` of all, cosines; `clip_diversity`
    if there are two samples or more; `accuracy`, the share of the stated attributes
    that the judge sees, if there is one.

    Args:
        images: [num_prompts, num_samples, 3, h, w].
        text_embedding: [num_prompts, clip_dim].
        stated: Value indices, [num_prompts, num_attributes], -1 where left open.
        encoder: On the device of the images.
        judge: On the device of the images; None if there is none.
    """
    num_samples = images.shape[1]
    flat = images.flatten(0, 1)

    def by_prompt(rows: Tensor) -> np.ndarray:
        return rows.view(*images.shape[:2], -1).cpu().numpy()

    embedding = by_prompt(encoder.encode_image(flat))
    cosine = clip_scores(embedding, text_embedding.cpu().numpy())
    scores = {
        "clip_score": best_of(cosine, 1),
        "clip_score_best": best_of(cosine, num_samples),
    }
    if num_samples > 1:
        scores["clip_diversity"] = embedding_diversity(embedding)
    if judge is not None:
        found = attribute_accuracy(by_prompt(judge.classify(flat)), stated)
        scores["accuracy"] = found.by_prompt
    return {name: float(np.nanmean(values)) for name, values in scores.items()}
