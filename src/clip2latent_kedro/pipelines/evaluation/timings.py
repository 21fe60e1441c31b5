"""Nodes of `evaluation` that time the methods."""

import logging
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from clip2latent_kedro.methods.method import Method, Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pipelines.evaluation.nodes import Rows
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.runtime import describe_machine
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.engine import as_json, find_changed
from clip2latent_kedro.study.timing import TIMED, time_rows

logger = logging.getLogger(__name__)

Timed = dict[str, dict[str, Any]]
DECIDING = ("method", "settings", "made_with", "generator", "encoder", "latent_repeats")


def time_methods(
    rows: Rows,
    models: Models,
    queries: Queries,
    progress: Timed,
    evaluation: EvaluationConfig,
    seed: int,
    resume: bool,
) -> Iterator[Timed]:
    """Time each row that is made from text and is due, and yield its seconds.

    Args:
        rows: What `leave_out_failed` returned.
        models: What `add_references` returned.
        queries: Prompts.
        progress: Seconds that are stored; those of the same row, protocol and machine
            are kept.
        evaluation: What is timed.
        seed: Seed of the run.
        resume: False times everything again.

    Yields:
        By row, the quantities of `TIMED`, of each stage and repeat, and all that they
        depend on.
    """
    machine = {"device": models.device, **describe_machine()}
    asked = {}
    for name, method in _timed_methods(rows, evaluation).items():
        computed_by = (method, models.generator, models.encoder)
        making = describe_provenance(
            models.device, "clip2latent_kedro.study.timing", *computed_by
        )
        deciding = {what: rows[name].depends_on[what] for what in DECIDING}
        asked[name] = as_json(
            {
                **deciding,
                "made_by": making,
                "one_answer": method.is_deterministic,
                "protocol": _protocol(evaluation),
                "machine": machine,
            }
        )
    pending = find_changed(asked, progress if resume else {})
    logger.info(
        "Timing 1 and %d images of %r by %d rows.",
        evaluation.timing_images,
        evaluation.timing_prompt,
        len(pending),
    )
    yield {}  # a folder, even if there is nothing to add
    methods = _timed_methods({name: rows[name] for name in pending}, evaluation)
    for name, seconds in time_rows(
        methods, queries, models.encoder, evaluation, seed=seed
    ):
        yield {name: {**seconds, "depends_on": asked[name]}}


def collect_timings(
    timed: Timed, rows: Rows, evaluation: EvaluationConfig
) -> dict[str, Any]:
    """Return the quantities of `TIMED` by row, with machine and protocol.

    Args:
        timed: All that are stored.
        rows: What `leave_out_failed` returned.
        evaluation: What is timed.
    """
    found = {name: timed[name] for name in _timed_methods(rows, evaluation)}
    machines = [one["depends_on"]["machine"] for one in found.values()]
    return {
        "machine": machines[0] if machines else {},
        "protocol": _protocol(evaluation),
        **{
            what: {name: one[what] for name, one in found.items() if what in one}
            for what in TIMED
        },
    }


def _timed_methods(rows: Rows, evaluation: EvaluationConfig) -> dict[str, Method]:
    """Return what is timed of the rows that are made from text."""
    guidance = evaluation.timing_guidance_scale
    every = {n: row.method.timed(guidance) for n, row in rows.items() if row.method}
    return {name: method for name, method in every.items() if method is not None}


def _protocol(evaluation: EvaluationConfig) -> dict[str, Any]:
    return {
        name: value
        for name, value in asdict(evaluation).items()
        if name.startswith("timing_")
    }
