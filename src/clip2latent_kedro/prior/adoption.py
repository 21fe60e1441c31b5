"""A prior that another program has trained, made one of this project's."""

import logging
from dataclasses import replace

import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import (
    LatentStatistics,
    fit_gaussian,
    measure_statistics,
)
from clip2latent_kedro.pairs import DataConfig, check_layers, sample_w
from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.prior.training import GAUSSIAN_SAMPLES

logger = logging.getLogger(__name__)

# Distance of the means of w, in standard deviations, that chance does not explain.
_FAR = 0.2


def adopt_prior(
    checkpoint: Checkpoint,
    generator: Generator,
    encoder: Encoder,
    data: DataConfig,
    *,
    seed: int,
    device: str,
) -> Checkpoint:
    """Return a checkpoint bound to its models, with the Gaussian of the generator's w.

    The Gaussian is measured on w of the mapping network alone; no image is drawn. A
    warning is logged if they lie elsewhere than the w that the prior was trained on.

    Args:
        checkpoint: What `read_published` returned.
        generator: The one that the prior was trained for.
        encoder: The one whose embeddings the prior takes.
        data: Groups of latents.
        seed: Seed of the run.
        device: Where to compute.

    Raises:
        InputError: If the sizes of the prior, the models and `data` do not agree.
    """
    check_layers(generator, data)
    _check_sizes(checkpoint, encoder, data)
    rows = range(GAUSSIAN_SAMPLES)
    with torch.inference_mode():
        w = sample_w(
            generator.to(device), data, rows, seed=seed, psi=1.0, device=device
        ).cpu()
    measured = measure_statistics(w)
    is_normalised = checkpoint.settings["train"]["znorm_latent"]
    if is_normalised:
        _compare(checkpoint.statistics, measured, generator)
    return replace(
        checkpoint,
        statistics=checkpoint.statistics if is_normalised else measured,
        gaussian=fit_gaussian(w),
        generator_identity=generator.identity,
        encoder_identity=encoder.identity,
    )


def _check_sizes(checkpoint: Checkpoint, encoder: Encoder, data: DataConfig) -> None:
    latent_shape = tuple(checkpoint.statistics.mean.shape)
    sizes = {
        "data.latent_repeats": (
            list(checkpoint.settings["data"]["latent_repeats"]),
            list(data.latent_repeats),
        ),
        "latents, as number and width,": (
            latent_shape,
            (len(data.latent_repeats), data.latent_dim),
        ),
        f"the embedding's width of {encoder.identity.name}": (
            checkpoint.clip_dim,
            encoder.embed_dim,
        ),
    }
    for what, (needed, given) in sizes.items():
        if needed != given:
            msg = (
                f"The checkpoint needs {what} to be {needed}, got {given}. Use the "
                f"generator, the encoder and the params:data that it was trained with."
            )
            raise InputError(msg)


def _compare(
    trained: LatentStatistics, measured: LatentStatistics, generator: Generator
) -> None:
    offset = (measured.mean - trained.mean) / trained.std
    distance = offset.square().mean().sqrt().item()
    if distance > _FAR:
        logger.warning(
            "The mean w of %s lies %.2f standard deviations from that of the w that "
            "the prior was trained on: it is likely another generator.",
            generator.identity,
            distance,
        )
