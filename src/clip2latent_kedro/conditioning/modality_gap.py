"""From what a user asks for to the condition of the prior, over the modality gap.

The prior has only seen embeddings of images. Those of texts lie in a cone of their
own (Liang et al. 2022). Three ways lead from texts to where the prior was trained, none
of which takes a pair of image and text. For the direction u = e / |e| of a text
embedding e:

    shift      b  = normalise(u + mean_shift * (image_mean - text_mean))
    retrieval  b' = normalise((1 - share) * b + share * mix of nearest images)
    noise      the prior is told how far its embedding may be off

The shift is that of C3 (Zhang et al. 2024), retrieval that of Fast text2StyleGAN (Du
et al. 2022). Embeddings of images are given to the prior as they are.
"""

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.conditioning.queries import EmbeddedQueries
from clip2latent_kedro.conditioning.retrieval import RetrievalBank, mix_neighbours
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.diffusion import DiffusionPrior, EmbeddingStatistics
from clip2latent_kedro.samplers import SamplingConfig


def condition_on_queries(
    prior: DiffusionPrior,
    embedded: EmbeddedQueries | Tensor,
    sampling: SamplingConfig,
    *,
    num_samples: int,
    seed: int,
    retrieval_bank: RetrievalBank | None = None,
) -> Tensor:
    """Return the conditions of queries.

    The parts of a query are added up on the side of the images, after each text has
    been shifted there. Retrieval and noise change the queries that hold a text.

    Args:
        prior: Knows the means of image and text embeddings.
        embedded: Queries, or plain embeddings of texts, [n, clip_dim], of any length.
        sampling: How latents are sampled.
        num_samples: Samples of each query.
        seed: What is retrieved for sample j of query i depends on (seed, i, j) alone.
        retrieval_bank: Embeddings of training images, [N, clip_dim]; needed where
            `sampling.retrieval_share` is not 0.

    Returns:
        Of `prior.join_condition`: [n, width], or [n, num_samples, width] where each
        sample has its own.

    Raises:
        InputError: If the prior or the bank lack what the settings need.
    """
    if isinstance(embedded, Tensor):
        embedded = EmbeddedQueries.of_texts(embedded)
    text, text_norm = shift_texts(
        prior.embedding_statistics, embedded.text, sampling.mean_shift
    )
    # [num_texts + num_images, ...]: every distinct part once, texts first
    parts = torch.cat([text, functional.normalize(embedded.image, dim=-1)])
    norms = torch.cat([text_norm, embedded.image.norm(dim=-1, keepdim=True)])
    weights = embedded.weights.to(parts)
    direction = functional.normalize(weights @ parts, dim=-1)[:, None]  # [n, 1, ...]
    norm = functional.normalize(weights.abs(), p=1, dim=1) @ norms  # [n, 1]

    if sampling.retrieval_share:
        if retrieval_bank is None:
            msg = (
                f"sampling.retrieval_share must be 0 where there are no embeddings of "
                f"training images to retrieve, got {sampling.retrieval_share}. Set it "
                f"to 0, or give a retrieval_bank."
            )
            raise InputError(msg)
        mix = mix_neighbours(
            direction[:, 0],
            retrieval_bank,
            sampling,
            num_samples=num_samples,
            seed=seed,
        )  # [n, r, clip_dim], r = 1 or num_samples
        mixed = torch.lerp(direction, mix, sampling.retrieval_share)
        mixed = functional.normalize(mixed, dim=-1)
        direction = torch.where(embedded.has_text[:, None, None], mixed, direction)

    num_each = direction.shape[1]
    level = embedded.has_text[:, None] * _noise_level(prior, sampling.noise_level)
    condition = prior.join_condition(
        (norm[:, None] * direction).flatten(0, 1),
        noise_level=level.repeat_interleave(num_each, dim=0),
    )
    if num_each == 1:
        return condition
    return condition.view(len(direction), num_each, -1)


def condition_on_image(prior: DiffusionPrior, image_embedding: Tensor) -> Tensor:
    """Return the conditions of images, [n, width], of embeddings [n, clip_dim].

    They are what the prior was trained on: nothing moves them, and they have no noise.
    """
    return prior.join_condition(image_embedding)


def mean_direction(embedding: Tensor) -> Tensor:
    """Return the mean of unit-length embeddings, [clip_dim], of [n, clip_dim]."""
    return functional.normalize(embedding, dim=-1).mean(dim=0)


def shift_texts(
    statistics: EmbeddingStatistics | None, text_embedding: Tensor, mean_shift: float
) -> tuple[Tensor, Tensor]:
    """Return the unit directions of shifted texts, [n, clip_dim], and lengths [n, 1].

    The length is the mean of that of the training embeddings; where nothing is known
    of them, the text's own.

    Args:
        statistics: Of images and texts; None if unknown.
        text_embedding: [n, clip_dim], of any length.
        mean_shift: Share of the difference of the means.

    Raises:
        InputError: If a mean is needed and not known.
    """
    has_texts = len(text_embedding) > 0
    text_mean = None if statistics is None else statistics.text_mean
    if has_texts and mean_shift and text_mean is None:
        lacking = "image embeddings" if statistics is None else "text embeddings"
        msg = (
            f"sampling.mean_shift must be 0 where the mean of the {lacking} is not "
            f"known to the prior, got {mean_shift}. Set sampling.mean_shift to 0."
        )
        raise InputError(msg)
    norm = text_embedding.norm(dim=-1, keepdim=True)
    direction = functional.normalize(text_embedding, dim=-1)
    if statistics is None:
        return direction, norm
    if text_mean is not None:
        gap = statistics.mean.to(direction) - text_mean.to(direction)
        direction = functional.normalize(direction + mean_shift * gap, dim=-1)
    return direction, torch.full_like(norm, statistics.norm)


def _noise_level(prior: DiffusionPrior, noise_level: float | None) -> float:
    """Return the noise that the prior is to expect in a text."""
    if "noise_level" in prior.condition_inputs:
        most = prior.embed_noise_scale
        if noise_level is not None and noise_level > most > 0:
            msg = (
                f"sampling.noise_level must be at most {most:g}, which the prior was "
                f"trained with (data.embed_noise_scale), got {noise_level:g}."
            )
            raise InputError(msg)
        least = prior.embed_noise_least
        if noise_level is not None and noise_level < least:
            msg = (
                f"sampling.noise_level must be at least {least:g}, which the prior was "
                f"trained with (data.embed_noise_least), got {noise_level:g}."
            )
            raise InputError(msg)
        return most if noise_level is None else noise_level
    if noise_level is not None:
        msg = (
            f"sampling.noise_level must be null for a prior that does not take it, got "
            f"{noise_level}. Train one with model.network.noise_level_input: true."
        )
        raise InputError(msg)
    return 0.0
