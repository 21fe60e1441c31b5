"""Nodes of `evaluation` that time the methods."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from clip2latent_kedro.pipelines.evaluation.nodes import Rows, is_due
from clip2latent_kedro.runtime import describe_machine
from clip2latent_kedro.study import (
    TIMED,
    EvaluationConfig,
    Models,
    Queries,
    Stored,
    as_record,
    time_rows,
)

logger = logging.getLogger(__name__)

Timed = dict[str, dict[str, Any]]


def time_methods(
    rows: Rows,
    models: Models,
    queries: Queries,
    progress: Timed,
    evaluation: EvaluationConfig,
    seed: int,
    resume: bool,
) -> Iterator[Timed]:
    """Yield the seconds of each row that is made from text, to be stored at once.

    Args:
        rows: Of `plan`.
        models: Of `gather_models`.
        queries: Prompts.
        progress: Seconds that are stored; those of the same row, protocol and machine
            are kept.
        evaluation: `params:evaluation`.
        seed: `params:seed`.
        resume: `params:resume`; false times everything again.

    Yields:
        By row, the quantities of `TIMED`, of each stage and repeat, and all that they
        depend on.
    """
    circumstances = {
        "protocol": _protocol(evaluation),
        "machine": {"device": models.device, **describe_machine()},
    }
    asked = {
        name: as_record({**planned.timed_by, **circumstances})
        for name, planned in rows.items()
        if planned.timed is not None
    }
    kept: dict[str, Stored] = {
        name: ({}, result["timed_by"]) for name, result in progress.items() if resume
    }
    due = {
        name: timed
        for name in asked
        if (timed := rows[name].timed) is not None
        and is_due(name, "seconds", kept, asked[name])
    }
    logger.info(
        "Timing 1 and %d images of %r by %d rows.",
        evaluation.timing_images,
        evaluation.timing_prompt,
        len(due),
    )
    yield {}  # a folder, even if there is nothing to add
    for name, seconds in time_rows(
        due,
        queries,
        models.encoder,
        evaluation,
        seed=seed,
        one_answer={name for name in due if rows[name].method.is_deterministic},
    ):
        yield {name: {**seconds, "timed_by": asked[name]}}


def collect_timings(
    timed: Timed, rows: Rows, evaluation: EvaluationConfig
) -> dict[str, Any]:
    """Return the quantities of `TIMED` by row, with machine and protocol.

    Args:
        timed: All that are stored.
        rows: Of `plan`.
        evaluation: `params:evaluation`.
    """
    found: Mapping[str, Any] = {
        name: timed[name] for name, planned in rows.items() if planned.timed is not None
    }
    machines = [one["timed_by"]["machine"] for one in found.values()]
    return {
        "machine": machines[0] if machines else {},
        "protocol": _protocol(evaluation),
        **{
            what: {name: one[what] for name, one in found.items() if what in one}
            for what in TIMED
        },
    }


def _protocol(evaluation: EvaluationConfig) -> dict[str, Any]:
    return {
        name: value
        for name, value in asdict(evaluation).items()
        if name.startswith("timing_")
    }
