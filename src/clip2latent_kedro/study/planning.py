"""Which rows there are to compute, and everything that their answers depend on."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Judge
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.study.answers import as_record
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.kinds import KINDS
from clip2latent_kedro.study.method import Queries
from clip2latent_kedro.study.models import Models
from clip2latent_kedro.study.rows import LackingError, Row, RowSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedRow:
    """A row with what it is asked.

    Attributes:
        spec: As it is written.
        row: What answers.
        prompts: Numbers of the prompts that it is asked, [n] int.
        num_samples: Images of each prompt.
        answered_by: Everything that its answers depend on, as plain JSON.
        timed_by: The same of its time, but for protocol and machine.
    """

    spec: RowSpec
    row: Row
    prompts: np.ndarray
    num_samples: int
    answered_by: dict[str, Any]
    timed_by: dict[str, Any]


def plan_rows(
    config: EvaluationConfig,
    models: Models,
    queries: Queries,
    *,
    judge: Judge | None,
    held_out: Encoder | None,
    seed: int,
) -> tuple[dict[str, PlannedRow], dict[str, str]]:
    """Return the rows that this domain can have, and why it lacks the others, by name.

    Args:
        config: `params:evaluation`.
        models: What rows draw with.
        queries: All prompts.
        judge: None if there is none.
        held_out: The encoder that only scores; None if there is none.
        seed: Seed of the run.

    Raises:
        InputError: If a row is wrong, if one that `only` names is lacking something,
            or if none is left.
    """
    planned: dict[str, PlannedRow] = {}
    lacking: dict[str, str] = {}
    for name, spec in config.read_rows().items():
        try:
            row = KINDS[spec.kind].build(spec, models, queries)
        except LackingError as error:
            if name in config.chosen_names:
                raise
            lacking[name] = str(error)
            logger.warning("Without the row %s: %s", name, error)
            continue
        scored_by = {
            "held_out_encoder": None if held_out is None else str(held_out.identity),
            "judge": None if judge is None else str(judge.identity),
            "prompts": _digest_queries(queries),
            "stored_image_size": config.stored_image_size,
        }
        planned[name] = _plan_row(
            spec,
            row,
            config,
            models,
            queries,
            scored_by={**scored_by, "seed": seed},
            scorers=(held_out, judge),
        )
    if not planned:
        reasons = " ".join(lacking.values()) or "Add one to evaluation.rows."
        msg = f"There is no row to compare. {reasons}"
        raise InputError(msg)
    return planned, lacking


def _plan_row(
    spec: RowSpec,
    row: Row,
    config: EvaluationConfig,
    models: Models,
    queries: Queries,
    *,
    scored_by: Mapping[str, Any],
    scorers: Sequence[Encoder | Judge | None],
) -> PlannedRow:
    num_prompts = len(queries.texts)
    numbers = range(num_prompts) if row.prompts is None else row.prompts
    asked = [n for n in numbers if n < (spec.num_prompts or num_prompts)]
    if not asked:
        msg = (
            f"evaluation.rows.{spec.name} must have an answer to one of its prompts, "
            f"got none. Raise its num_prompts."
        )
        raise InputError(msg)
    num_samples = spec.num_samples or config.num_samples
    computed_by = (row.method, models.generator, models.encoder)
    timed_by = {
        "made_by": describe_provenance(
            models.device, "clip2latent_kedro.study.timing", *computed_by
        ),
        "method": spec.kind,
        "settings": dict(row.settings),
        "made_with": dict(row.made_with),
        "generator": models.generator.identity.digest,
        "encoder": models.encoder.identity.digest,
        "latent_repeats": list(models.latent_repeats),
    }
    answered_by = {
        **timed_by,
        **scored_by,
        "made_by": describe_provenance(
            models.device,
            "clip2latent_kedro.study.drawing",
            *computed_by,
            *scorers,
        ),
        "num_samples": num_samples,
        "asked": asked,
    }
    return PlannedRow(
        spec,
        row,
        np.array(asked),
        num_samples,
        as_record(answered_by),
        as_record({**timed_by, "one_answer": row.one_answer}),
    )


def _digest_queries(queries: Queries) -> str:
    content = json.dumps([queries.texts, queries.stated.tolist()])
    return hashlib.sha256(content.encode()).hexdigest()
