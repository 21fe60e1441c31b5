"""The rows of the comparison, ready to run."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods import METHODS, make_settings
from clip2latent_kedro.methods.method import Method, Queries, UnavailableError
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.distances import embed_generator_images
from clip2latent_kedro.study.engine import (
    PlannedVariant,
    StoredResult,
    Variant,
    describe_dependence,
)
from clip2latent_kedro.study.samples import sample_images

logger = logging.getLogger(__name__)


def plan_rows(
    config: EvaluationConfig,
    groups: Mapping[str, Any],
    models: Models,
    queries: Queries,
    *,
    seed: int,
) -> tuple[dict[str, PlannedVariant], dict[str, str]]:
    """Return the rows that this domain can have, and why it lacks the others, by name.

    Args:
        config: `params:evaluation`.
        groups: Parameters that rows change (see `methods.read_groups`).
        models: What rows sample with, and what scores.
        queries: All prompts.
        seed: Seed of the run.

    Raises:
        InputError: If a row is wrong, if one that `only` names is lacking something,
            or if none is left.
    """
    planned: dict[str, PlannedVariant] = {}
    lacking: dict[str, str] = {}
    for name, variant in config.read_rows().items():
        where = f"evaluation.rows.{name}"
        settings = None
        try:
            settings = make_settings(where, variant.overrides, groups, variant.method)
            method = METHODS[variant.method].build(settings, models, queries)
            where = f"evaluation.timing_guidance_scale, {name}"
            method.timed(config.timing_guidance_scale)
        except UnavailableError as error:
            if name in config.chosen_names:
                raise
            lacking[name] = str(error)
            logger.warning("Without the row %s: %s", name, error)
            continue
        except InputError as error:
            if settings is None:  # the message says where
                raise
            msg = f"{where}: {error}"
            raise InputError(msg) from None
        planned[name] = _plan_row(variant, method, config, models, queries, seed)
    if not planned:
        reasons = " ".join(lacking.values()) or "Add one to evaluation.rows."
        msg = f"There is no row to compare. {reasons}"
        raise InputError(msg)
    return planned, lacking


def plan_generator_images(
    config: EvaluationConfig, models: Models, queries: Queries, *, psi: float, seed: int
) -> PlannedVariant:
    """Return what the generator draws of random w, to be stored beside the rows.

    Args:
        config: `params:evaluation`, with `generator_images`.
        models: Generator and encoders.
        queries: None of which is asked.
        psi: Truncation of the training pairs.
        seed: Seed of the run.
    """
    num_images = config.generator_images
    assert num_images is not None
    compute = partial(_embed_images, models, num_images, psi=psi, seed=seed)
    depends_on = describe_dependence(
        replace(models, judge=None),
        queries.take([]),
        None,
        {"num_images": num_images, "psi": psi},
        "clip2latent_kedro.study.distances",
        seed=seed,
    )
    return PlannedVariant(Variant("generator images", {}), {}, depends_on, compute)


def _embed_images(
    models: Models, num_images: int, part: None, *, psi: float, seed: int
) -> StoredResult:
    return embed_generator_images(models, num_images, psi=psi, seed=seed), {}


def _plan_row(
    variant: Variant,
    method: Method,
    config: EvaluationConfig,
    models: Models,
    queries: Queries,
    seed: int,
) -> PlannedVariant:
    num_prompts = len(queries.texts)
    numbers = range(num_prompts) if method.prompts is None else method.prompts
    asked = [n for n in numbers if n < (variant.num_prompts or num_prompts)]
    if not asked:
        msg = (
            f"evaluation.rows.{variant.label} must have an answer to one of its "
            f"prompts, got none. Raise its num_prompts."
        )
        raise InputError(msg)
    protocol: dict[str, Any] = {
        "num_samples": variant.num_samples or config.num_samples,
        "seed": seed,
        "stored_image_size": config.stored_image_size,
    }
    depends_on = describe_dependence(
        models,
        queries.take(asked),
        method,
        method.list_settings(),
        "clip2latent_kedro.study.samples",
        method=variant.method,
        asked=asked,
        **protocol,
    )
    prompts = np.array(asked)
    compute = partial(_sample_row, method, queries, models, prompts, protocol)
    return PlannedVariant(
        variant,
        depends_on["settings"],
        depends_on,
        compute,
        method=method,
        prompts=prompts,
    )


def _sample_row(
    method: Method,
    queries: Queries,
    models: Models,
    prompts: np.ndarray,
    protocol: Mapping[str, Any],
    part: None,
) -> StoredResult:
    """Return the samples of a row, with the numbers of their prompts."""
    asked = queries.take(prompts.tolist())
    return {**sample_images(method, asked, models, **protocol), "prompts": prompts}, {}
