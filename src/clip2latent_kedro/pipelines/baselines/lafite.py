"""Nodes of `baselines` for LAFITE."""

import logging
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pandas as pd

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.text_adapter import TextGenerator
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.methods.lafite import (
    LafiteTrainingConfig,
    export_lafite,
    sample_lafite,
    tabulate_history,
    train_lafite,
)
from clip2latent_kedro.methods.measuring import measure_samples
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.portraits.fitting import Weights, go_on, unpack_state
from clip2latent_kedro.provenance import describe_making
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.study import read_queries, rows_of

logger = logging.getLogger(__name__)

_SHOWN = 8  # prompts and samples in the picture, at most


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
        data: `params:data`.
        config: `params:baselines.lafite`.
        seed: `params:seed`.
        device: `params:device`.
        resume: `params:resume`; false starts afresh.
        progress: What an earlier run left.
    """
    device = pick_device(device)
    settings = {
        "lafite": asdict(config),
        "seed": seed,
        "pairs": training_pairs.settings,
    }
    logger.info("Training LAFITE for %d steps on %s.", config.max_it, device)
    yield from go_on(
        lambda state: train_lafite(
            generator,
            data.embedder(encoder),
            training_pairs,
            config,
            seed=seed,
            device=device,
            state=state,
        ),
        settings,
        making={
            **describe_making(
                device,
                "clip2latent_kedro.methods.lafite.training",
                generator,
                encoder,
            ),
            "pairs": training_pairs.made_by,
        },
        steps=config.max_it,
        stored=progress if resume else None,
    )


def ship_lafite(
    state: Weights,
    generator: Generator,
    encoder: Encoder,
    data: DataConfig,
    config: LafiteTrainingConfig,
    seed: int,
) -> tuple[Weights, dict[str, float]]:
    """Return LAFITE's averaged weights as they are used, and what they took.

    Args:
        state: The last of `fit_lafite`.
        generator: As there.
        encoder: As there.
        data: `params:data`.
        config: `params:baselines.lafite`.
        seed: `params:seed`.
    """
    reached = unpack_state(state)
    weights = export_lafite(
        reached, generator, data.embedder(encoder), config, seed=seed
    )
    return weights, {"training_seconds": reached.seconds}


def collect_lafite_history(state: Weights) -> pd.DataFrame:
    """Return the losses, a row for each stored state: the means since the one before.

    Args:
        state: The last of `fit_lafite`.
    """
    rows = tabulate_history(unpack_state(state))
    return pd.DataFrame(rows).astype({"step": int})


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
    """Return scores and a picture of what LAFITE draws for prompts of the bank.

    Args:
        lafite: The trained generator.
        encoder: Embeds the prompts, and scores.
        judge: Names attributes; None if there is none.
        prompt_bank: None of them is among those of the evaluation.
        data: `params:data`.
        num_prompts: `params:baselines.num_prompts`, the first of the bank.
        num_samples: `params:baselines.num_samples`, of each.
        seed: `params:seed`.
        device: `params:device`.

    Returns:
        Means over prompts (see `measure_samples`); and images, uint8 [h, w, 3], a row
        for each of the first prompts.
    """
    device = pick_device(device)
    lafite.check_encoder(data.embedder(encoder).identity)
    encoder = data.scorer(encoder).to(device)
    known = judge.to(device) if isinstance(judge, Judge) else None
    queries = read_queries(
        rows_of(prompt_bank),
        encoder,
        {} if known is None else known.attributes,
        num_prompts=num_prompts,
    )
    images = sample_lafite(
        lafite.to(device), queries.embedding, num_samples=num_samples, seed=seed
    )
    scores = measure_samples(images, queries.embedding, queries.stated, encoder, known)
    logger.info("LAFITE: %s.", ", ".join(f"{k} {v:.3f}" for k, v in scores.items()))
    shown = image_to_uint8(images[:_SHOWN, :_SHOWN])  # [prompts, samples, h, w, 3]
    rows = [np.concatenate(list(row), axis=1) for row in shown]
    return scores, np.concatenate(rows)
