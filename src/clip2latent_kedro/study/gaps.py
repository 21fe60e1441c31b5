"""How much of the modality gap each bridge closes, alone and together."""

import logging
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from clip2latent_kedro.conditioning import RetrievalBank, condition_on_queries
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.metrics.modality_gap import modality_gap
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.samplers import SamplingConfig

logger = logging.getLogger(__name__)

BRIDGES: dict[str, dict[str, Any]] = {
    "none": {"mean_shift": 0.0, "retrieval_share": 0.0},
    "mean shift": {"mean_shift": 1.0, "retrieval_share": 0.0},
    "retrieval": {"mean_shift": 0.0, "retrieval_share": 1.0},
    "mean shift, then retrieval": {"mean_shift": 1.0, "retrieval_share": 1.0},
    "as sampled": {},
}


def measure_gaps(
    prior: DiffusionPrior,
    queries: Queries,
    image_embedding: np.ndarray,
    sampling: SamplingConfig,
    *,
    retrieval_bank: RetrievalBank,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Return the gap between bridged texts and images that fit them.

    Args:
        prior: Knows the means of image and text embeddings, and moves texts.
        queries: Prompts.
        image_embedding: Of images that fit each prompt, [num_prompts, k, clip_dim].
        sampling: `params:sampling`, over which a bridge sets what it needs.
        retrieval_bank: Embeddings of training images.
        seed: Seed of the mixes.

    Returns:
        The fields of `ModalityGap` by bridge; one that the prior or the bank cannot
        serve is left out.
    """
    num_images, clip_dim = image_embedding.shape[1:]
    gaps = {}
    for name, settings in BRIDGES.items():
        try:
            condition = condition_on_queries(
                prior,
                queries.embedding,
                replace(sampling, **settings),
                num_samples=num_images,
                seed=seed,
                retrieval_bank=retrieval_bank,
            )
        except InputError as error:
            logger.info("The modality gap leaves %r out: %s", name, error)
            continue
        # A further column of the condition, if any, is no part of the embedding.
        bridged = condition[..., :clip_dim].float().cpu().numpy()
        gaps[name] = asdict(modality_gap(bridged, image_embedding))
    return gaps
