"""Nodes of `sweep` and `tuning` that plan what is tried."""

from dataclasses import replace
from typing import Any

import pandas as pd

from clip2latent_kedro.checked import read_settings
from clip2latent_kedro.methods import read_groups
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.methods.optimisation.config import OptimisationParameters
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.engine import PlannedVariant
from clip2latent_kedro.study.prompts import read_bank
from clip2latent_kedro.study.sweep import SweepConfig, plan_sweep


def plan(
    prompt_bank: pd.DataFrame,
    models: Models,
    sampling: SamplingConfig,
    optimisation: dict[str, Any],
    evaluation: EvaluationConfig,
    sweep: SweepConfig,
    num_validation_prompts: int,
    seed: int,
) -> list[PlannedVariant]:
    """Plan every variant, in the order of the grids.

    Args:
        prompt_bank: A column `prompt`, and one for each attribute that is stated.
        models: Of `add_priors`, or `add_references` where other methods are tried;
            the encoder that only scores has no say in a choice.
        sampling: The base, and how samples are drawn that are refined.
        optimisation: The base of searches.
        evaluation: Gives the size of stored images.
        sweep: What is tried.
        num_validation_prompts: The first prompts of the bank, which are left to the
            validation.
        seed: Seed of the run.
    """
    models = replace(models, held_out=None, sampling=sampling)
    where = "tuning" if sweep.is_equal else "sweep"
    queries = read_bank(
        prompt_bank,
        models,
        num_prompts=sweep.num_prompts,
        num_skipped=num_validation_prompts,
        where=f"{where}.num_prompts",
    )
    return plan_sweep(
        sweep,
        read_groups(sampling, read_settings(OptimisationParameters, optimisation)),
        models,
        queries,
        where=where,
        seed=seed,
        stored_image_size=evaluation.stored_image_size,
    )
