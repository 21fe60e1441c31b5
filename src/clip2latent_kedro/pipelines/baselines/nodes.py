"""Nodes of `baselines`: LAFITE and CLIP2GAN trained, exported and measured."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.text_adapter import TextGenerator
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.methods.clip2gan import (
    BRIDGES,
    Clip2Gan,
    Clip2GanTrainingConfig,
    export_clip2gan,
    map_to_w,
    train_clip2gan,
)
from clip2latent_kedro.methods.lafite import (
    LafiteTrainingConfig,
    export_lafite,
    sample_lafite,
    train_lafite,
)
from clip2latent_kedro.methods.measuring import measure_samples
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.pairs import DataConfig, TrainingPairs, summarise_trained
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.study.prompts import read_queries, rows_of
from clip2latent_kedro.training.state import (
    Weights,
    pack_state,
    stored_state,
    unpack_state,
)

logger = logging.getLogger(__name__)

_SHOWN = 8  # prompts and samples in a picture, at most


def fit_lafite(
    generator: Generator,
    encoder: Encoder,
    training_pairs: TrainingPairs,
    data: DataConfig,
    config: LafiteTrainingConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    """Yield states of LAFITE's training, each to be stored at once.

    Args:
        generator: Where training begins.
        encoder: Image -> embedding.
        training_pairs: Real images, as their w, with their embeddings.
        data: How the encoder reads images.
        config: `params:baselines.lafite`.
        seed: Decides the training.
        device: Where to compute.
        resume: False starts afresh.
        progress: What an earlier run left.
    """
    device = pick_device(device)

    logger.info("Training LAFITE for %d steps on %s.", config.max_it, device)
    states = train_lafite(
        generator,
        data.embedder(encoder),
        training_pairs,
        config,
        seed=seed,
        device=device,
        start=stored_state(progress) if resume else None,
    )
    yield from map(pack_state, states)


def fit_clip2gan(
    generator: Generator,
    encoder: Encoder,
    training_pairs: TrainingPairs,
    latent_statistics: dict[str, Any],
    data: DataConfig,
    config: Clip2GanTrainingConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    """Yield states of CLIP2GAN's training, each to be stored at once.

    Args:
        generator: w -> image.
        encoder: Image -> embedding.
        training_pairs: Images, as their w, with their embeddings.
        latent_statistics: Of the pairs (see `pairs.summarise_pairs`).
        data: How the encoder reads images.
        config: `params:baselines.clip2gan`.
        seed: Decides the training.
        device: Where to compute.
        resume: False starts afresh.
        progress: What an earlier run left.
    """
    device = pick_device(device)
    trained = summarise_trained(latent_statistics, training_pairs, config.val_pairs)

    logger.info("Training CLIP2GAN for %d steps on %s.", config.max_it, device)
    states = train_clip2gan(
        generator,
        data.embedder(encoder),
        training_pairs,
        _statistics(trained),
        config,
        seed=seed,
        device=device,
        start=stored_state(progress) if resume else None,
    )
    yield from map(pack_state, states)


def finalise_lafite(
    state: Weights,
    generator: Generator,
    encoder: Encoder,
    data: DataConfig,
    config: LafiteTrainingConfig,
    seed: int,
) -> tuple[Weights, dict[str, float | None]]:
    """Return LAFITE's averaged weights as they are used, and what they took.

    Args:
        state: The last of `fit_lafite`.
        generator: The one that LAFITE started from.
        encoder: The one whose embeddings LAFITE takes.
        data: How the encoder reads images.
        config: The settings of its training.
        seed: Decides the z that the mean of w is taken over.
    """
    reached = unpack_state(state)
    weights = export_lafite(
        reached, generator, data.embedder(encoder), config, seed=seed
    )
    return weights, {"training_seconds": reached.seconds}


def finalise_clip2gan(
    state: Weights,
    generator: Generator,
    encoder: Encoder,
    training_pairs: TrainingPairs,
    latent_statistics: dict[str, Any],
    text_mean: dict[str, np.ndarray],
    data: DataConfig,
    config: Clip2GanTrainingConfig,
) -> tuple[Weights, dict[str, float | None]]:
    """Return CLIP2GAN's averaged weights as they are used, and what they took.

    Args:
        state: The last of `fit_clip2gan`.
        generator: The one whose w CLIP2GAN has learned.
        encoder: The one whose embeddings CLIP2GAN takes.
        training_pairs: The pairs that it was trained on.
        latent_statistics: Of those pairs (see `pairs.summarise_pairs`).
        text_mean: Of `measure_text_mean`; empty where there are no texts.
        data: How the encoder reads images, and layers of each latent.
        config: The settings of its training.
    """
    trained = summarise_trained(latent_statistics, training_pairs, config.val_pairs)
    embedding_statistics = EmbeddingStatistics(
        torch.tensor(trained["embedding_mean"]),
        trained["embedding_norm"],
        torch.from_numpy(text_mean["text_mean"]) if text_mean else None,
    )
    reached = unpack_state(state)
    weights = export_clip2gan(
        reached,
        generator,
        data.embedder(encoder),
        _statistics(trained),
        embedding_statistics,
        training_pairs.recipe["latent_repeats"],
        config,
    )
    return weights, {"training_seconds": reached.seconds}


def collect_history(state: Weights) -> pd.DataFrame:
    """Return what a training tells of itself, a row for each stored state.

    Args:
        state: The last of `fit_lafite`, whose losses are means since the state before,
            or of `fit_clip2gan`, which are measured.
    """
    return pd.DataFrame(unpack_state(state).history)


def measure_lafite(
    lafite: TextGenerator,
    encoder: Encoder,
    judge: Judge | None,
    prompt_bank: pd.DataFrame,
    data: DataConfig,
    num_prompts: int,
    num_samples: int,
    seed: int,
    device: str,
) -> tuple[dict[str, float], np.ndarray]:
    """Return scores and a picture of what LAFITE makes of prompts of the bank.

    Args:
        lafite: The trained generator.
        encoder: Embeds the prompts, and scores.
        judge: Names attributes; None if there is none.
        prompt_bank: None of them is among those of the evaluation.
        data: How the encoder reads images.
        num_prompts: The first of the bank.
        num_samples: Samples of each.
        seed: Decides z.
        device: Where to compute.

    Returns:
        Means over prompts (see `measure_samples`); and images, uint8 [h, w, 3], a row
        for each of the first prompts.
    """
    device = pick_device(device)
    lafite.check_encoder(data.embedder(encoder).identity)
    encoder = data.scorer(encoder).to(device)
    known = judge.to(device) if isinstance(judge, Judge) else None
    queries = _embed_bank(prompt_bank, encoder, known, num_prompts)
    images = sample_lafite(
        lafite.to(device), queries.embedding, num_samples=num_samples, seed=seed
    )
    scores = measure_samples(images, queries.embedding, queries.stated, encoder, known)
    logger.info("LAFITE: %s.", _list_scores(scores))
    return scores, _tile(image_to_uint8(images[:_SHOWN, :_SHOWN]))


def measure_clip2gan(
    clip2gan: Clip2Gan,
    generator: Generator,
    encoder: Encoder,
    judge: Judge | None,
    prompt_bank: pd.DataFrame,
    num_prompts: int,
    device: str,
) -> tuple[dict[str, dict[str, float]], np.ndarray]:
    """Return scores and a picture of what CLIP2GAN makes of prompts of the bank.

    Args:
        clip2gan: The trained mapping network.
        generator: w -> image.
        encoder: Embeds the prompts, and scores.
        judge: Names attributes; None if there is none.
        prompt_bank: None of them is among those of the evaluation.
        num_prompts: The first of the bank.
        device: Where to compute.

    Returns:
        Means over prompts (see `measure_samples`) by bridge; and images, uint8
        [h, w, 3], a column for each of the first prompts and a row for each bridge.
    """
    device = pick_device(device)
    generator, encoder = generator.to(device), encoder.to(device)
    known = judge.to(device) if isinstance(judge, Judge) else None
    queries = _embed_bank(prompt_bank, encoder, known, num_prompts)
    scores: dict[str, dict[str, float]] = {}
    shown = []
    for bridge in BRIDGES:
        w = map_to_w(clip2gan.to(device), queries.embedding, bridge=bridge)
        with torch.no_grad():
            images = generator.synthesis(w, noise_mode="const")[:, None]
        scores[bridge] = measure_samples(
            images, queries.embedding, queries.stated, encoder, known
        )
        logger.info("CLIP2GAN, bridge %s: %s.", bridge, _list_scores(scores[bridge]))
        shown.append(image_to_uint8(images[:_SHOWN, 0]))
    return scores, _tile(np.stack(shown))


def _embed_bank(
    prompt_bank: pd.DataFrame, encoder: Encoder, judge: Judge | None, num_prompts: int
) -> Queries:
    return read_queries(
        rows_of(prompt_bank),
        encoder,
        {} if judge is None else judge.attributes,
        num_prompts=num_prompts,
    )


def _list_scores(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in scores.items())


def _tile(images: np.ndarray) -> np.ndarray:
    """Return one picture, [rows * h, columns * w, 3], of [rows, columns, h, w, 3]."""
    return np.concatenate([np.concatenate(list(row), axis=1) for row in images])


def _statistics(summary: Mapping[str, Any]) -> LatentStatistics:
    mean, std = (torch.tensor(summary[name]) for name in ("mean", "std"))
    return LatentStatistics(mean, std)
