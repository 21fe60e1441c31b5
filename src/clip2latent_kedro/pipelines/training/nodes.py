"""Nodes of `training`."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from clip2latent_kedro.conditioning import mean_direction
from clip2latent_kedro.engines import Engines
from clip2latent_kedro.engines.groups import choose_group
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import (
    DataConfig,
    GenerationConfig,
    TrainingPairs,
    summarise_trained,
)
from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.prior.config import PriorSettings, TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig, EmbeddingStatistics
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.training import train_prior
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.validation import (
    ValidationConfig,
    ValidationPictures,
    Validator,
    validated_steps,
)

logger = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]


def measure_text_mean(
    prompt_bank: pd.DataFrame | None, encoder: Encoder, device: str
) -> Arrays:
    """Return `text_mean`, [clip_dim]: the mean of unit-length embeddings of texts.

    Args:
        prompt_bank: A column `prompt`; None gives an empty mean.
        encoder: The one of the training pairs.
        device: `params:device`.
    """
    prompts = _prompts_of(prompt_bank)
    if not prompts:
        logger.info("There are no texts: the prior is to know no mean of them.")
        return {}
    with torch.no_grad():
        embedding = encoder.to(pick_device(device)).encode_text(prompts)
    logger.info("Measured the mean of %d texts.", len(prompts))
    return {"text_mean": mean_direction(embedding).float().cpu().numpy()}


def gather_settings(
    data: DataConfig,
    network: NetworkConfig,
    diffusion: DiffusionConfig,
    train: TrainConfig,
    seed: int,
) -> PriorSettings:
    """Return all that decides the prior, but for the pairs.

    Args:
        data: How the prior sees the pairs.
        network: Which network, and how large.
        diffusion: The diffusion process and its objective.
        train: How it is trained.
        seed: Of first weights, batches and noise.
    """
    return PriorSettings(data, network, diffusion, train, seed)


def gather_training_models(
    generator: Generator,
    encoder: Encoder,
    data: DataConfig,
    data_generation: GenerationConfig,
    device: str,
) -> Models:
    """Move the models that a training sees to the device, together.

    Args:
        generator: w -> image.
        encoder: The one of the training pairs.
        data: In which form it reads images, and layers of each latent.
        data_generation: Its batch size is that of images here too.
        device: Where to compute.
    """
    return Models(
        generator=generator,
        encoder=data.scorer(encoder),
        embedder=data.embedder(encoder),
        latent_repeats=data.latent_repeats,
        latent_batch_size=data_generation.batch_size,
        image_batch_size=data_generation.batch_size,
        device=pick_device(device),
    )


def prepare_validation(
    models: Models,
    training_pairs: TrainingPairs,
    prompt_bank: pd.DataFrame | None,
    prior_settings: PriorSettings,
    validation: ValidationConfig,
    sampling: SamplingConfig,
) -> Validator:
    """Return what tries the prior while it is trained.

    Args:
        models: What `gather_training_models` returned.
        training_pairs: The last `train.val_pairs` of them are held out.
        prompt_bank: A column `prompt`; None if there are no texts.
        prior_settings: What `gather_settings` returned.
        validation: What it is tried on.
        sampling: How it samples, but for the guidance.
    """
    first = max(0, len(training_pairs) - prior_settings.train.val_pairs)
    w, embedding = training_pairs.take(slice(first, len(training_pairs)))
    return Validator(
        replace(models, training_pairs=training_pairs),
        validation,
        held_out=(torch.from_numpy(w), torch.from_numpy(embedding)),
        prompts=_prompts_of(prompt_bank),
        sampling=sampling,
        seed=prior_settings.seed,
    )


def train(
    training_pairs: TrainingPairs,
    latent_statistics: dict[str, Any],
    text_mean: Arrays,
    validator: Validator,
    prior_settings: PriorSettings,
    engines: Engines,
    resume: bool,
    progress: Checkpoint | InputError | None,
) -> Iterator[tuple[ValidationPictures, Checkpoint]]:
    """Yield the states of training, the last one finished.

    Args:
        training_pairs: w and clip_embedding.
        latent_statistics: Of the pairs (see `pairs.summarise_pairs`).
        text_mean: What `measure_text_mean` returned.
        validator: What `prepare_validation` returned.
        prior_settings: What `gather_settings` returned.
        engines: What to compute with.
        resume: False starts afresh.
        progress: What an earlier run left; None if nothing.

    Yields:
        Checkpoints, each with the pictures of the validations since the one before;
        a single one if training is finished already.
    """
    group = choose_group(engines, "training")
    kind, num_pairs = prior_settings.network.kind, len(training_pairs)
    logger.info(
        "Training a %s on %d pairs on %s%s.",
        kind,
        num_pairs,
        group.device,
        f" by {group.size} workers" if group.size > 1 else "",
    )
    num_held_out = prior_settings.train.val_pairs
    statistics = summarise_trained(latent_statistics, training_pairs, num_held_out)
    mean, std, embedding_mean = (
        torch.tensor(statistics[name]) for name in ("mean", "std", "embedding_mean")
    )
    for checkpoint in train_prior(
        training_pairs,
        LatentStatistics(mean, std),
        EmbeddingStatistics(
            embedding_mean,
            statistics["embedding_norm"],
            torch.from_numpy(text_mean["text_mean"]) if text_mean else None,
        ),
        prior_settings,
        device=engines.device,
        start=progress if resume else None,
        validate=validator,
        group=group,
    ):
        steps = validated_steps(checkpoint.history)
        yield ValidationPictures(steps, checkpoint.pictures), checkpoint


def collect_history(prior_checkpoint: Checkpoint) -> pd.DataFrame:
    """Return what was measured, a row each, empty where it was not.

    Args:
        prior_checkpoint: Finished.

    Returns:
        `step`; `loss`, the mean since the row before; and of the averaged weights
        `validation_loss` and the scores of validation (see `Validator`).
    """
    return pd.DataFrame(prior_checkpoint.history).astype({"step": int})


def plot_history(training_history: pd.DataFrame) -> Figure:
    """Return losses and scores over the steps, as a figure of two panels.

    Args:
        training_history: What `collect_history` returned.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for name in training_history.columns.drop("step"):
        axes = losses if name in ("loss", "validation_loss") else scores
        measured = training_history.dropna(subset=[name])
        axes.plot(measured["step"], measured[name], marker=".", label=name)
    losses.set_ylabel("mean squared error")
    scores.set_ylabel("cosine")
    for axes in (losses, scores):
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    return figure


def export_priors(prior_checkpoint: Checkpoint) -> tuple[Checkpoint, Checkpoint]:
    """Return the finished checkpoint for the last prior, and for the best.

    Args:
        prior_checkpoint: The catalog entries `prior` and `prior_best` store what
            sampling needs of it.
    """
    best_by = prior_checkpoint.settings["train"]["best_by"]
    if prior_checkpoint.best_step:
        logger.info(
            "Exporting the priors of steps %d (last) and %d (best by %s).",
            prior_checkpoint.step,
            prior_checkpoint.best_step,
            best_by,
        )
    else:
        logger.info(
            "No validation found %s: prior_best is the last prior, of step %d.",
            best_by,
            prior_checkpoint.step,
        )
    return prior_checkpoint, prior_checkpoint


def _prompts_of(prompt_bank: pd.DataFrame | None) -> list[str]:
    if prompt_bank is None:
        return []
    return [str(prompt) for prompt in prompt_bank.get("prompt", [])]
