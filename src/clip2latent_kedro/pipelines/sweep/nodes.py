"""Nodes of `sweep`."""

from dataclasses import replace

import pandas as pd

from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.engine import PlannedVariant
from clip2latent_kedro.study.prompts import read_bank
from clip2latent_kedro.study.sweep import SweepConfig, plan_sweep


def plan(
    prompt_bank: pd.DataFrame,
    models: Models,
    sampling: SamplingConfig,
    evaluation: EvaluationConfig,
    sweep: SweepConfig,
    num_validation_prompts: int,
    seed: int,
) -> list[PlannedVariant]:
    """Plan every variant, in the order of the grids.

    Args:
        prompt_bank: A column `prompt`, and one for each attribute that is stated.
        models: Of `add_priors`; the encoder that only scores has no say in a choice.
        sampling: The base.
        evaluation: Gives the size of stored images.
        sweep: What is tried.
        num_validation_prompts: The first prompts of the bank, which are left to the
            validation.
        seed: Seed of the run.
    """
    models = replace(models, held_out=None)
    queries = read_bank(
        prompt_bank,
        models,
        num_prompts=sweep.num_prompts,
        num_skipped=num_validation_prompts,
        where="sweep.num_prompts",
    )
    return plan_sweep(
        sweep,
        sampling,
        models,
        queries,
        seed=seed,
        stored_image_size=evaluation.stored_image_size,
    )
