"""Nodes of `ablation` that sample and score."""

from dataclasses import replace
from typing import Any

import pandas as pd
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig, DiffusionPrior
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.ablation.config import OWN, AblationConfig, OwnConfig
from clip2latent_kedro.study.ablation.plan import (
    Ablation,
    AblationQueries,
    read_pictures,
)
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.engine import PlannedVariant
from clip2latent_kedro.study.prompts import read_bank

Groups = dict[str, Any]


def read_texts(
    prompt_bank: pd.DataFrame,
    models: Models,
    ablation: AblationConfig,
    num_validation_prompts: int,
) -> Queries:
    """Return the prompts that variants are asked for, embedded.

    Args:
        prompt_bank: A column `prompt`, and one for each attribute that is stated.
        models: What `gather_models` returned.
        ablation: How many.
        num_validation_prompts: The first prompts of the bank, which are left to the
            validation.

    Raises:
        InputError: If there are too few prompts.
    """
    return read_bank(
        prompt_bank,
        models,
        num_prompts=ablation.num_prompts,
        num_skipped=num_validation_prompts,
        where="ablation.num_prompts",
    )


def prepare(
    texts: Queries,
    models: Models,
    prior: DiffusionPrior,
    training_pairs: TrainingPairs,
    base: Groups,
    ablation: AblationConfig,
    evaluation: EvaluationConfig,
    seed: int,
) -> tuple[Ablation, list[PlannedVariant]]:
    """Gather what all variants have in common, and plan them.

    Args:
        texts: What `read_texts` returned.
        models: What `gather_models` returned.
        prior: Averaged weights, for variants that are not trained for.
        training_pairs: All; the last ones are the pictures that are asked for.
        base: Of `gather_settings`; says how many pairs are kept from training.
        ablation: The protocol.
        evaluation: Gives the size of stored images.
        seed: The first of the seeds.

    Returns:
        Models, pairs, prompts and pictures; and the variants, study after study.

    Raises:
        InputError: If too few pairs are kept from training.
    """
    num_prompts, num_kept = ablation.num_prompts, base["train"].val_pairs
    if num_kept < num_prompts:
        msg = (
            f"train.val_pairs must be {num_prompts} or more, for "
            f"ablation.num_prompts pictures that no training saw, got {num_kept}."
        )
        raise InputError(msg)
    first = len(training_pairs) - num_kept
    w, embedding = training_pairs.take(slice(first, first + num_prompts))
    images, given = read_pictures(
        models,
        (torch.from_numpy(w), torch.from_numpy(embedding)),
        strip_prompts=ablation.strip_prompts,
        stored_image_size=evaluation.stored_image_size,
    )
    own = training_pairs.take(slice(0, first))
    pairs = TrainingPairs(*own, training_pairs.recipe)
    setup = Ablation(
        ablation,
        replace(models, priors={"prior": prior}, training_pairs=pairs),
        AblationQueries(texts, images, given),
        seed=seed,
        stored_image_size=evaluation.stored_image_size,
    )
    return setup, setup.plan(base)


def gather_settings(
    sampling: SamplingConfig,
    data: DataConfig,
    network: NetworkConfig,
    diffusion: DiffusionConfig,
    train: TrainConfig,
) -> Groups:
    """Return the parameters that variants start from, by group."""
    return {
        "sampling": sampling,
        "data": data,
        "model.network": network,
        "model.diffusion": diffusion,
        "train": train,
        OWN: OwnConfig(),
    }
