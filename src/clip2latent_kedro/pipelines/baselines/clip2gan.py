"""Nodes of `baselines` for CLIP2GAN."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.methods.clip2gan import (
    BRIDGES,
    Clip2Gan,
    Clip2GanTrainingConfig,
    export_clip2gan,
    map_to_w,
    tabulate_history,
    train_clip2gan,
)
from clip2latent_kedro.methods.measuring import measure_samples
from clip2latent_kedro.pairs import DataConfig, TrainingPairs, summarise_trained
from clip2latent_kedro.portraits.fitting import Weights, go_on, unpack_state
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics
from clip2latent_kedro.provenance import describe_making
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.study import read_queries, rows_of

logger = logging.getLogger(__name__)

_SHOWN = 8  # prompts in the picture, at most


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
        data: `params:data`.
        config: `params:baselines.clip2gan`.
        seed: `params:seed`.
        device: `params:device`.
        resume: `params:resume`; false starts afresh.
        progress: What an earlier run left.
    """
    device = pick_device(device)
    trained = summarise_trained(latent_statistics, training_pairs, config.val_pairs)
    settings = {
        "clip2gan": asdict(config),
        "seed": seed,
        "pairs": training_pairs.settings,
    }
    logger.info("Training CLIP2GAN for %d steps on %s.", config.max_it, device)
    yield from go_on(
        lambda state: train_clip2gan(
            generator,
            data.embedder(encoder),
            training_pairs,
            _statistics(trained),
            config,
            seed=seed,
            device=device,
            state=state,
        ),
        settings,
        making={
            **describe_making(
                device,
                "clip2latent_kedro.methods.clip2gan.training",
                generator,
                encoder,
            ),
            "pairs": training_pairs.made_by,
        },
        steps=config.max_it,
        stored=progress if resume else None,
    )


def ship_clip2gan(
    state: Weights,
    generator: Generator,
    encoder: Encoder,
    training_pairs: TrainingPairs,
    latent_statistics: dict[str, Any],
    text_mean: dict[str, np.ndarray],
    data: DataConfig,
    config: Clip2GanTrainingConfig,
) -> tuple[Weights, dict[str, float]]:
    """Return CLIP2GAN's averaged weights as they are used, and what they took.

    Args:
        state: The last of `fit_clip2gan`.
        generator: As there.
        encoder: As there.
        training_pairs: As there.
        latent_statistics: As there.
        text_mean: Of `measure_text_mean`; empty where there are no texts.
        data: `params:data`.
        config: `params:baselines.clip2gan`.
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


def collect_clip2gan_history(state: Weights) -> pd.DataFrame:
    """Return what was measured, a row for each stored state.

    Args:
        state: The last of `fit_clip2gan`.

    Returns:
        See `tabulate_history`.
    """
    rows = tabulate_history(unpack_state(state))
    return pd.DataFrame(rows).astype({"step": int})


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
        num_prompts: `params:baselines.num_prompts`, the first of the bank.
        device: `params:device`.

    Returns:
        Means over prompts (see `measure_samples`) by bridge; and images, uint8
        [h, w, 3], a column for each of the first prompts and a row for each bridge.
    """
    device = pick_device(device)
    generator, encoder = generator.to(device), encoder.to(device)
    known = judge.to(device) if isinstance(judge, Judge) else None
    queries = read_queries(
        rows_of(prompt_bank),
        encoder,
        {} if known is None else known.attributes,
        num_prompts=num_prompts,
    )
    scores: dict[str, dict[str, float]] = {}
    rows = []
    for bridge in BRIDGES:
        w = map_to_w(clip2gan.to(device), queries.embedding, bridge=bridge)
        with torch.no_grad():
            images = generator.synthesis(w, noise_mode="const")[:, None]
        scores[bridge] = measure_samples(
            images, queries.embedding, queries.stated, encoder, known
        )
        logger.info(
            "CLIP2GAN, bridge %s: %s.",
            bridge,
            ", ".join(f"{k} {v:.3f}" for k, v in scores[bridge].items()),
        )
        rows.append(np.concatenate(list(image_to_uint8(images[:_SHOWN, 0])), axis=1))
    return scores, np.concatenate(rows)


def _statistics(summary: Mapping[str, Any]) -> LatentStatistics:
    mean, std = (torch.tensor(summary[name]) for name in ("mean", "std"))
    return LatentStatistics(mean, std)
