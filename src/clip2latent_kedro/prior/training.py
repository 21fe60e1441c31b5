"""Training of a prior: pairs in, checkpoints out."""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentStatistics, fit_gaussian
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.batches import PairBatches
from clip2latent_kedro.prior.checkpoint import Checkpoint, build_prior
from clip2latent_kedro.prior.config import LOSS_SCORE, TrainConfig
from clip2latent_kedro.prior.diffusion import (
    DiffusionConfig,
    EmbeddingStatistics,
)
from clip2latent_kedro.prior.loop import accept_start, run_steps
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.record import Record, Validate
from clip2latent_kedro.prior.trainer import Trainer
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.runtime import Stopwatch, derive_seed, seeded_weights

logger = logging.getLogger(__name__)

GAUSSIAN_SAMPLES = 10_000  # pairs that the Gaussian is measured on


def train_prior(
    pairs: TrainingPairs,
    statistics: LatentStatistics,
    embedding_statistics: EmbeddingStatistics,
    *,
    data: DataConfig,
    network: NetworkConfig,
    diffusion: DiffusionConfig,
    train: TrainConfig,
    seed: int,
    device: str,
    start: Checkpoint | InputError | None = None,
    text_mean: Tensor | None = None,
    validate: Validate | None = None,
) -> Iterator[Checkpoint]:
    """Yield a checkpoint every `save_it` steps, and one at the end.

    On a CPU, training that goes on from any of the checkpoints yields the same bits
    as training that was never interrupted, if `validate` too is a function of its
    arguments.

    Args:
        pairs: w and clip_embedding.
        statistics: Of w.
        embedding_statistics: Of clip_embedding.
        data: Batch size, embedding noise.
        network: `params:model.network`.
        diffusion: `params:model.diffusion`.
        train: `params:train`.
        seed: Seed of the run.
        device: Where to compute.
        start: Where to go on; None starts anew. A finished run is yielded as it is,
            gone on with if `max_it` has grown, and replaced under other settings.
        text_mean: Mean of unit-length embeddings of texts, [clip_dim], which the
            prior keeps for those who condition it on texts; training has no use
            for it.
        validate: Called with the averaged prior every `val_it` steps.

    Raises:
        InputError: If `start` is unfinished and of other settings, if there are too
            few pairs, or if the loss is not finite.
    """
    settings = describe_settings(
        pairs, data=data, network=network, diffusion=diffusion, train=train, seed=seed
    )
    if text_mean is not None:
        embedding_statistics = replace(embedding_statistics, text_mean=text_mean)
    making = {**describe_provenance(device, __name__), "pairs": pairs.made_by}
    start = accept_start(start, settings, making)
    if start is not None and start.step >= train.max_it:
        logger.info("The prior is trained already, for %d steps.", start.step)
        settings["made_by"] = start.settings.get("made_by", [{}])
        yield replace(
            start, settings=settings, embedding_statistics=embedding_statistics
        )
        return

    generator_identity = _parse_identity(pairs.recipe["generator"])
    encoder_identity = _parse_identity(pairs.recipe["encoder"])
    num_pairs = max(0, len(pairs) - train.val_pairs)
    shown = slice(0, min(GAUSSIAN_SAMPLES, max(1, num_pairs)))
    gaussian = fit_gaussian(torch.from_numpy(pairs.take(shown)[0]))
    with seeded_weights(derive_seed(seed, "weights")):
        prior = build_prior(
            network,
            diffusion,
            statistics,
            embedding_statistics,
            znorm_latent=train.znorm_latent,
            generator_identity=generator_identity,
            encoder_identity=encoder_identity,
            gaussian=gaussian,
            embed_noise_scale=data.embed_noise_scale,
        )
    trainer = Trainer(
        prior,
        train,
        embed_noise_scale=data.embed_noise_scale,
        cond_drop_prob=diffusion.cond_drop_prob,
        seed=seed,
        device=device,
        start=start,
    )
    batches = PairBatches(
        pairs,
        prior.statistics,
        num_pairs=num_pairs,
        batch_size=data.bs,
        buffer_pairs=train.buffer_pairs,
        seed=seed,
        device=device,
    )
    w, embedding = map(torch.from_numpy, pairs.take(slice(num_pairs, len(pairs))))
    held_out = prior.statistics.normalise(w), embedding

    first = 0 if start is None else start.step
    record = Record(train.best_by, start)
    batch = batches.starting_at(first)

    def measure(step: int, loss: float, is_validated: bool) -> dict[str, float]:
        scores = {LOSS_SCORE: trainer.validate(*held_out, data.bs)}
        if is_validated and validate is not None:
            scores |= validate(trainer.average, step).scores
        row = record.add(step, loss, scores)
        if is_validated:
            record.keep_if_best(row, trainer.averaged_weights)
        return row

    stopwatch = Stopwatch(0.0 if start is None else start.seconds)
    for step in run_steps(
        "training",
        first=first,
        max_it=train.max_it,
        val_it=train.val_it,
        save_it=train.save_it,
        lr=("train.lr", train.lr),
        step=lambda step: trainer.step(*next(batch), step),
        has_finite_weights=trainer.has_finite_weights,
        measure=measure,
        stopwatch=stopwatch,
    ):
        yield Checkpoint(
            step=step,
            **trainer.state(),
            best=record.best,
            best_step=record.best_step,
            history=list(record.history),
            statistics=statistics,
            embedding_statistics=embedding_statistics,
            gaussian=gaussian,
            generator_identity=generator_identity,
            encoder_identity=encoder_identity,
            settings=settings,
            seconds=stopwatch.seconds,
        )


def describe_settings(
    pairs: TrainingPairs,
    *,
    data: DataConfig,
    network: NetworkConfig,
    diffusion: DiffusionConfig,
    train: TrainConfig,
    seed: int,
) -> dict[str, Any]:
    """Return everything that decides a run, as plain JSON (see `Checkpoint`)."""
    settings = {
        "data": asdict(data),
        "model": {"network": asdict(network), "diffusion": asdict(diffusion)},
        "train": asdict(train),
        "seed": seed,
        "pairs": pairs.settings,
    }
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def _parse_identity(text: str) -> Identity:
    """Return the identity that a recipe writes as name@digest."""
    name, _, digest = text.rpartition("@")
    return Identity(name, digest)
