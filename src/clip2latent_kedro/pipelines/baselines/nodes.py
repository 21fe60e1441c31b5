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
from clip2latent_kedro.interfaces import Judge
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
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import TrainingPairs, summarise_trained
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics
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
    models: Models,
    training_pairs: TrainingPairs,
    config: LafiteTrainingConfig,
    seed: int,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    """Yield states of LAFITE's training, each to be stored at once.

    Args:
        models: Generator, where training begins, and encoder.
        training_pairs: Real images, as their w, with their embeddings.
        config: `params:baselines.lafite`.
        seed: Decides the training.
        resume: False starts afresh.
        progress: What an earlier run left.
    """
    logger.info("Training LAFITE for %d steps on %s.", config.max_it, models.device)
    states = train_lafite(
        models.generator,
        models.embedder,
        training_pairs,
        config,
        seed=seed,
        device=models.device,
        start=stored_state(progress) if resume else None,
    )
    yield from map(pack_state, states)


def fit_clip2gan(
    models: Models,
    training_pairs: TrainingPairs,
    latent_statistics: dict[str, Any],
    config: Clip2GanTrainingConfig,
    seed: int,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    """Yield states of CLIP2GAN's training, each to be stored at once.

    Args:
        models: Generator and encoder.
        training_pairs: Images, as their w, with their embeddings.
        latent_statistics: Of the pairs (see `pairs.summarise_pairs`).
        config: `params:baselines.clip2gan`.
        seed: Decides the training.
        resume: False starts afresh.
        progress: What an earlier run left.
    """
    trained = summarise_trained(latent_statistics, training_pairs, config.val_pairs)
    logger.info("Training CLIP2GAN for %d steps on %s.", config.max_it, models.device)
    states = train_clip2gan(
        models.generator,
        models.embedder,
        training_pairs,
        _statistics(trained),
        config,
        seed=seed,
        device=models.device,
        start=stored_state(progress) if resume else None,
    )
    yield from map(pack_state, states)


def finalise_lafite(
    state: Weights, models: Models, config: LafiteTrainingConfig, seed: int
) -> tuple[Weights, dict[str, float | None]]:
    """Return LAFITE's averaged weights as they are used, and what they took.

    Args:
        state: The last of `fit_lafite`.
        models: The generator that LAFITE started from, and the encoder whose
            embeddings it takes.
        config: The settings of its training.
        seed: Decides the z that the mean of w is taken over.
    """
    reached = unpack_state(state)
    weights = export_lafite(
        reached, models.generator, models.embedder, config, seed=seed
    )
    return weights, {"training_seconds": reached.seconds}


def finalise_clip2gan(
    state: Weights,
    models: Models,
    training_pairs: TrainingPairs,
    latent_statistics: dict[str, Any],
    text_mean: dict[str, np.ndarray],
    config: Clip2GanTrainingConfig,
) -> tuple[Weights, dict[str, float | None]]:
    """Return CLIP2GAN's averaged weights as they are used, and what they took.

    Args:
        state: The last of `fit_clip2gan`.
        models: The generator whose w CLIP2GAN has learned, and the encoder whose
            embeddings it takes.
        training_pairs: The pairs that it was trained on.
        latent_statistics: Of those pairs (see `pairs.summarise_pairs`).
        text_mean: Of `measure_text_mean`; empty where there are no texts.
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
        models.generator,
        models.embedder,
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
    models: Models,
    judge: Judge | None,
    prompt_bank: pd.DataFrame,
    num_prompts: int,
    num_samples: int,
    seed: int,
) -> tuple[dict[str, float], np.ndarray]:
    """Return scores and a picture of what LAFITE makes of prompts of the bank.

    Args:
        lafite: The trained generator.
        models: Their encoder embeds the prompts, and scores.
        judge: Names attributes; None if there is none.
        prompt_bank: None of them is among those of the evaluation.
        num_prompts: The first of the bank.
        num_samples: Samples of each.
        seed: Decides z.

    Returns:
        Means over prompts (see `measure_samples`); and images, uint8 [h, w, 3], a row
        for each of the first prompts.
    """
    lafite.check_encoder(models.embedder.identity)
    queries, judge = _embed_bank(prompt_bank, models, judge, num_prompts)
    images = sample_lafite(
        lafite.to(models.device),
        queries.embedding,
        num_samples=num_samples,
        seed=seed,
    )
    scores = measure_samples(
        images, queries.embedding, queries.stated, models.encoder, judge
    )
    logger.info("LAFITE: %s.", _list_scores(scores))
    return scores, _tile(image_to_uint8(images[:_SHOWN, :_SHOWN]))


def measure_clip2gan(
    clip2gan: Clip2Gan,
    models: Models,
    judge: Judge | None,
    prompt_bank: pd.DataFrame,
    num_prompts: int,
) -> tuple[dict[str, dict[str, float]], np.ndarray]:
    """Return scores and a picture of what CLIP2GAN makes of prompts of the bank.

    Args:
        clip2gan: The trained mapping network.
        models: Their encoder embeds the prompts, and scores.
        judge: Names attributes; None if there is none.
        prompt_bank: None of them is among those of the evaluation.
        num_prompts: The first of the bank.

    Returns:
        Means over prompts (see `measure_samples`) by bridge; and images, uint8
        [h, w, 3], a column for each of the first prompts and a row for each bridge.
    """
    queries, judge = _embed_bank(prompt_bank, models, judge, num_prompts)
    scores: dict[str, dict[str, float]] = {}
    shown = []
    for bridge in BRIDGES:
        w = map_to_w(clip2gan.to(models.device), queries.embedding, bridge=bridge)
        with torch.no_grad():
            images = models.generator.synthesis(w, noise_mode="const")[:, None]
        scores[bridge] = measure_samples(
            images, queries.embedding, queries.stated, models.encoder, judge
        )
        logger.info("CLIP2GAN, bridge %s: %s.", bridge, _list_scores(scores[bridge]))
        shown.append(image_to_uint8(images[:_SHOWN, 0]))
    return scores, _tile(np.stack(shown))


def _embed_bank(
    prompt_bank: pd.DataFrame, models: Models, judge: Judge | None, num_prompts: int
) -> tuple[Queries, Judge | None]:
    """Return the first prompts, embedded, and the judge, if any, on the device."""
    known = judge.to(models.device) if isinstance(judge, Judge) else None
    queries = read_queries(
        rows_of(prompt_bank),
        models.encoder,
        {} if known is None else known.attributes,
        num_prompts=num_prompts,
    )
    return queries, known


def _list_scores(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in scores.items())


def _tile(images: np.ndarray) -> np.ndarray:
    """Return one picture, [rows * h, columns * w, 3], of [rows, columns, h, w, 3]."""
    return np.concatenate([np.concatenate(list(row), axis=1) for row in images])


def _statistics(summary: Mapping[str, Any]) -> LatentStatistics:
    mean, std = (torch.tensor(summary[name]) for name in ("mean", "std"))
    return LatentStatistics(mean, std)
