"""Nodes of `evaluation` that sample the images."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from clip2latent_kedro.checked import read_settings
from clip2latent_kedro.engines import Engines
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods import read_groups
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.methods.optimisation.config import OptimisationParameters
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.config import GENERATOR_IMAGES, EvaluationConfig
from clip2latent_kedro.study.engine import PlannedVariant, StoredResult, find_pending
from clip2latent_kedro.study.evaluation import plan_generator_images, plan_rows
from clip2latent_kedro.study.prompts import check_disjoint, embed_rows, rows_of
from clip2latent_kedro.study.run import run_study

Rows = dict[str, PlannedVariant]


def embed_prompts(
    prompts: pd.DataFrame,
    prompt_bank: Any,
    models: Models,
    evaluation: EvaluationConfig,
) -> Queries:
    """Embed the prompts, and read what they state.

    Args:
        prompts: A column `prompt`, and one for each attribute that is stated.
        prompt_bank: What settings are chosen on, and so must not be among them;
            nothing if there is none.
        models: What `gather_models` returned.
        evaluation: How many prompts.
    """
    rows = rows_of(prompts)
    bank = [row["prompt"] for row in rows_of(prompt_bank)]
    check_disjoint([row["prompt"] for row in rows], bank)
    return embed_rows(rows, models, num_prompts=evaluation.num_prompts)


def plan(
    models: Models,
    queries: Queries,
    sampling: SamplingConfig,
    optimisation: dict[str, Any],
    evaluation: EvaluationConfig,
    seed: int,
) -> tuple[Rows, dict[str, str]]:
    """Build the rows of the comparison, and say why others cannot be had.

    Args:
        models: What `add_references` returned.
        queries: Prompts.
        sampling: Defaults of rows of clip2latent.
        optimisation: Defaults of rows that search.
        evaluation: Rows and protocol.
        seed: Seed of the run.
    """
    groups = read_groups(sampling, read_settings(OptimisationParameters, optimisation))
    models = replace(models, sampling=sampling)
    return plan_rows(evaluation, groups, models, queries, seed=seed)


def plan_images(
    models: Models,
    queries: Queries,
    evaluation: EvaluationConfig,
    psi: float,
    seed: int,
) -> Rows:
    """Return what the generator draws of random w, as a row beside the others, if any.

    Args:
        models: What `add_references` returned.
        queries: Prompts, none of which is asked.
        evaluation: How many images.
        psi: Truncation of the training pairs.
        seed: Seed of the run.
    """
    if evaluation.generator_images is None:
        return {}
    images = plan_generator_images(evaluation, models, queries, psi=psi, seed=seed)
    return {GENERATOR_IMAGES: images}


def answer_prompts(
    rows: Rows,
    images: Rows,
    engines: Engines,
    progress: Mapping[str, StoredResult],
    resume: bool,
) -> Iterator[dict[str, StoredResult]]:
    """Sample each row that is due, and yield its images as they come.

    Args:
        rows: What `plan` returned.
        images: What `plan_images` returned.
        engines: What to compute with.
        progress: What is stored; what depends on the same is kept.
        resume: False computes everything again.

    Yields:
        `generator_images`, features of what the generator draws of random w; then
        each row (see `sample_images`), with all that it depends on.
    """
    planned = {**images, **rows}
    pending = find_pending(planned, progress, resume=resume)
    yield from run_study(planned, pending, engines.of("studies"))


def leave_out_failed(
    rows: Rows, lacking: dict[str, str], answers: Mapping[str, StoredResult]
) -> tuple[Rows, dict[str, str]]:
    """Return the rows that have images, and why each other row has none.

    Args:
        rows: What `plan` returned.
        lacking: Why others cannot be had, of `plan`.
        answers: All that are stored.

    Raises:
        InputError: If no row has images; the message is the first problem.
    """
    problems = {name: answers[name][1]["problem"] for name in rows}
    failed = {
        name: problem for name, problem in problems.items() if problem is not None
    }
    if len(failed) == len(rows):
        msg = (
            f"No row could be scored. {next(iter(failed.values()))} Change "
            f"evaluation.rows; if memory ran out, lower evaluation.latent_batch_size "
            f"or image_batch_size."
        )
        raise InputError(msg)
    sampled = {name: row for name, row in rows.items() if name not in failed}
    return sampled, {**lacking, **failed}
