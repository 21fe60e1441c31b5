"""Which rows there are to compute, and everything that their answers depend on."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Judge
from clip2latent_kedro.methods import METHODS, make_settings
from clip2latent_kedro.methods.method import LackingError, Method, Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.provenance import describe_making
from clip2latent_kedro.study.answers import as_record
from clip2latent_kedro.study.config import EvaluationConfig, RowSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedRow:
    """A row with what it is asked.

    Attributes:
        spec: As it is written.
        method: What samples.
        timed: What is timed; None if the samples are not made from text.
        prompts: Numbers of the prompts that it is asked, [n] int.
        num_samples: Images of each prompt.
        answered_by: Everything that its answers depend on, as plain JSON.
        timed_by: Everything that its seconds depend on, but for protocol and machine.
    """

    spec: RowSpec
    method: Method
    timed: Method | None
    prompts: np.ndarray
    num_samples: int
    answered_by: dict[str, Any]
    timed_by: dict[str, Any]


def plan_rows(
    config: EvaluationConfig,
    models: Models,
    queries: Queries,
    groups: Mapping[str, Any],
    *,
    seed: int,
) -> tuple[dict[str, PlannedRow], dict[str, str]]:
    """Return the rows that this domain can have, and why it lacks the others, by name.

    Args:
        config: `params:evaluation`.
        models: What rows sample and are scored with.
        queries: All prompts.
        groups: Parameters that rows change (see `methods.read_groups`).
        seed: Seed of the run.

    Raises:
        InputError: If a row is wrong, if one that `only` names is lacking something,
            or if none is left.
    """
    planned: dict[str, PlannedRow] = {}
    lacking: dict[str, str] = {}
    for name, spec in config.read_rows().items():
        try:
            method, timed = _build_row(spec, config, models, queries, groups)
        except LackingError as error:
            if name in config.chosen_names:
                raise
            lacking[name] = str(error)
            logger.warning("Without the row %s: %s", name, error)
            continue
        scored_by = {
            "held_out_encoder": _name(models.held_out),
            "judge": _name(models.judge),
            "prompts": _digest_queries(queries),
            "stored_image_size": config.stored_image_size,
        }
        planned[name] = _plan_row(
            spec,
            method,
            timed,
            config,
            models,
            queries,
            scored_by={**scored_by, "seed": seed},
        )
    if not planned:
        reasons = " ".join(lacking.values()) or "Add one to evaluation.rows."
        msg = f"There is no row to compare. {reasons}"
        raise InputError(msg)
    return planned, lacking


def _build_row(
    spec: RowSpec,
    config: EvaluationConfig,
    models: Models,
    queries: Queries,
    groups: Mapping[str, Any],
) -> tuple[Method, Method | None]:
    """Return the method of a row, and what is timed of it."""
    where = f"evaluation.rows.{spec.name}"
    settings = make_settings(where, spec.overrides, groups, spec.method)
    try:
        method = METHODS[spec.method].build(settings, models, queries)
        where = f"evaluation.timing_guidance_scale, {spec.name}"
        return method, method.timed(config.timing_guidance_scale)
    except LackingError:
        raise
    except InputError as error:
        msg = f"{where}: {error}"
        raise InputError(msg) from None


def _plan_row(
    spec: RowSpec,
    method: Method,
    timed: Method | None,
    config: EvaluationConfig,
    models: Models,
    queries: Queries,
    *,
    scored_by: Mapping[str, Any],
) -> PlannedRow:
    num_prompts = len(queries.texts)
    numbers = range(num_prompts) if method.prompts is None else method.prompts
    asked = [n for n in numbers if n < (spec.num_prompts or num_prompts)]
    if not asked:
        msg = (
            f"evaluation.rows.{spec.name} must have an answer to one of its prompts, "
            f"got none. Raise its num_prompts."
        )
        raise InputError(msg)
    num_samples = spec.num_samples or config.num_samples
    computed_by = (method, models.generator, models.encoder)
    timed_by = {
        "made_by": describe_making(
            models.device, "clip2latent_kedro.study.timing", *computed_by
        ),
        "method": spec.method,
        "settings": method.list_settings(),
        "made_with": dict(method.made_with),
        "generator": models.generator.identity.digest,
        "encoder": models.encoder.identity.digest,
        "latent_repeats": list(models.latent_repeats),
    }
    answered_by = {
        **timed_by,
        **scored_by,
        "made_by": describe_making(
            models.device,
            "clip2latent_kedro.study.drawing",
            *computed_by,
            models.held_out,
            models.judge,
        ),
        "num_samples": num_samples,
        "asked": asked,
    }
    return PlannedRow(
        spec,
        method,
        timed,
        np.array(asked),
        num_samples,
        as_record(answered_by),
        as_record({**timed_by, "one_answer": method.is_deterministic}),
    )


def _name(model: Encoder | Judge | None) -> str | None:
    return None if model is None else str(model.identity)


def _digest_queries(queries: Queries) -> str:
    content = json.dumps([queries.texts, queries.stated.tolist()])
    return hashlib.sha256(content.encode()).hexdigest()
