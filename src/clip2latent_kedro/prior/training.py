"""Training of a prior: pairs in, checkpoints out."""

import json
import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentStatistics, measure_cloud
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.batches import PairBatches
from clip2latent_kedro.prior.checkpoint import Checkpoint, build_prior, check_settings
from clip2latent_kedro.prior.config import LOSS_SCORE, TrainConfig
from clip2latent_kedro.prior.diffusion import (
    DiffusionConfig,
    EmbeddingStatistics,
)
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.record import Record, Validate
from clip2latent_kedro.prior.trainer import Trainer
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import make_generator

logger = logging.getLogger(__name__)

CLOUD_SAMPLES = 10_000  # pairs that the cloud is measured on
CHECK_EVERY = 50  # steps between looks at the loss, for which a GPU must wait


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
    start: Checkpoint | None = None,
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
    start = _accept_start(start, settings)
    if start is not None and start.step >= train.max_it:
        logger.info("The prior is trained already, for %d steps.", start.step)
        yield replace(
            start, settings=settings, embedding_statistics=embedding_statistics
        )
        return

    generator_identity = _parse_identity(pairs.recipe["generator"])
    encoder_identity = _parse_identity(pairs.recipe["encoder"])
    cloud = measure_cloud(torch.from_numpy(pairs.take(slice(0, CLOUD_SAMPLES))[0]))
    with _seeded_weights(seed):
        prior = build_prior(
            network,
            diffusion,
            statistics,
            embedding_statistics,
            znorm_latent=train.znorm_latent,
            generator_identity=generator_identity,
            encoder_identity=encoder_identity,
            cloud=cloud,
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
    num_pairs = max(0, len(pairs) - train.val_pairs)
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
    saved = recorded = first  # last steps with a checkpoint and with a row of losses
    total = torch.zeros((), dtype=torch.float64, device=device)  # of losses since
    began = time.perf_counter()

    with progress_bar("training", total=train.max_it, completed=first) as advance:
        for step, batch in enumerate(batches.starting_at(first), start=first + 1):
            total += trainer.step(*batch, step)
            is_saved = step % train.save_it == 0 or step == train.max_it
            is_validated = step % train.val_it == 0
            is_recorded = is_saved or is_validated
            mean = math.nan
            if is_recorded or step % CHECK_EVERY == 0:
                mean = float(total) / (step - recorded)
                if not math.isfinite(mean) or not trainer.has_finite_weights():
                    steps = range(recorded + 1, step + 1)
                    raise InputError(_explain_divergence(mean, steps, saved, train.lr))
            advance(loss=mean)
            if is_recorded:
                scores = {LOSS_SCORE: trainer.validate(*held_out, data.bs)}
                if is_validated and validate is not None:
                    scores |= validate(trainer.average, step).scores
                row = record.add(step, mean, scores)
                if is_validated:
                    record.keep_if_best(row, trainer.averaged_weights)
                logger.info(
                    "Step %d of %d: %s, %.1f steps/s.",
                    step,
                    train.max_it,
                    ", ".join(f"{k} {row[k]:.4f}" for k in row if k != "step"),
                    (step - first) / (time.perf_counter() - began),
                )
                recorded = step
                total.zero_()
            if is_saved:
                saved = step
                state = trainer.state()
                yield Checkpoint(
                    step=step,
                    network=state["network"],
                    ema=state["ema"],
                    optimizer=state["optimizer"],
                    best=record.best,
                    best_step=record.best_step,
                    history=list(record.history),
                    statistics=statistics,
                    embedding_statistics=embedding_statistics,
                    cloud=cloud,
                    generator_identity=generator_identity,
                    encoder_identity=encoder_identity,
                    settings=settings,
                )
            if step == train.max_it:
                return


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
    recipe = {name: pairs.recipe[name] for name in pairs.recipe if name != "versions"}
    settings = {
        "data": asdict(data),
        "model": {"network": asdict(network), "diffusion": asdict(diffusion)},
        "train": asdict(train),
        "seed": seed,
        "pairs": recipe,
    }
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def _accept_start(
    start: Checkpoint | None, settings: Mapping[str, Any]
) -> Checkpoint | None:
    """Return the checkpoint if it can be gone on from; None if it may be replaced."""
    if start is None:
        return None
    try:
        check_settings(start, settings)
    except InputError:
        if not start.finished:
            raise
        logger.info("The stored prior has other settings: training a new one.")
        return None
    return start


@contextmanager
def _seeded_weights(seed: int) -> Iterator[None]:
    """Seed what initialises weights, and put the global generator back afterwards."""
    state = torch.get_rng_state()
    torch.set_rng_state(make_generator(seed, "weights").get_state())
    try:
        yield
    finally:
        torch.set_rng_state(state)


def _explain_divergence(mean: float, steps: range, saved: int, lr: float) -> str:
    kept = f"The checkpoint of step {saved} is kept" if saved else "None is kept"
    return (
        f"The training loss of steps {steps[0]} to {steps[-1]} must be finite, and the "
        f"weights too, got a mean loss of {mean}. {kept}. Lower train.lr = {lr}, or "
        f"look for values that are not finite in training_pairs."
    )


def _parse_identity(text: str) -> Identity:
    """Return the identity that a recipe writes as name@digest."""
    name, _, digest = text.rpartition("@")
    return Identity(name, digest)
