"""Nodes of `training`."""

import logging
from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure

from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig, EmbeddingStatistics
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.training import train_prior
from clip2latent_kedro.runtime import pick_device

logger = logging.getLogger(__name__)


def train(
    training_pairs: TrainingPairs,
    latent_statistics: dict[str, Any],
    data: DataConfig,
    network: NetworkConfig,
    diffusion: DiffusionConfig,
    train: TrainConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Checkpoint | None,
) -> Iterator[Checkpoint]:
    """Yield the states of training, the last one finished.

    Args:
        training_pairs: w and clip_embedding.
        latent_statistics: Of the pairs (see `pairs.summarise_pairs`).
        data: `params:data`.
        network: `params:model.network`.
        diffusion: `params:model.diffusion`.
        train: `params:train`.
        seed: `params:seed`.
        device: `params:device`.
        resume: `params:resume`; false starts afresh.
        progress: What an earlier run left; None if nothing.

    Yields:
        Checkpoints; a single one if training is finished already.
    """
    device = pick_device(device)
    logger.info(
        "Training a %s on %d pairs on %s.", network.kind, len(training_pairs), device
    )
    mean, std, embedding_mean = (
        torch.tensor(latent_statistics[name])
        for name in ("mean", "std", "embedding_mean")
    )
    yield from train_prior(
        training_pairs,
        LatentStatistics(mean, std),
        EmbeddingStatistics(embedding_mean, latent_statistics["embedding_norm"]),
        data=data,
        network=network,
        diffusion=diffusion,
        train=train,
        seed=seed,
        device=device,
        start=progress if resume else None,
    )


def collect_losses(prior_checkpoint: Checkpoint) -> pd.DataFrame:
    """Return the losses of a run: `step`, `loss`, `validation_loss`.

    Args:
        prior_checkpoint: Finished.

    Returns:
        One row for each measurement; the loss is the mean since the row before, the
        validation loss that of the averaged weights on pairs kept from training.
    """
    columns = ["step", "loss", "validation_loss"]
    losses = pd.DataFrame(prior_checkpoint.losses.numpy(), columns=columns)
    return losses.astype({"step": int})


def plot_losses(losses: pd.DataFrame) -> Figure:
    """Return the losses over the steps, as a figure.

    Args:
        losses: Of `collect_losses`.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(losses["step"], losses["loss"], label="training")
    axes.plot(losses["step"], losses["validation_loss"], label="validation (average)")
    axes.set_xlabel("step")
    axes.set_ylabel("mean squared error of x0")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def export_prior(prior_checkpoint: Checkpoint) -> Checkpoint:
    """Return the finished checkpoint, whose averaged weights become the prior.

    Args:
        prior_checkpoint: The catalog entry `prior` stores what sampling needs of it.
    """
    logger.info("Exporting the prior after %d steps.", prior_checkpoint.step)
    return prior_checkpoint
