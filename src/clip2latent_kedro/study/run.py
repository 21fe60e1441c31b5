"""The run of a study: from planned variants to results, here or by workers."""

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from clip2latent_kedro.engines import Engine
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import is_known_failure
from clip2latent_kedro.study.engine import PICTURES, PlannedVariant, StoredResult

logger = logging.getLogger(__name__)

_ADDED = ("seconds", "training_seconds")  # of all parts


def run_study(
    planned: Mapping[str, PlannedVariant], pending: Collection[str], engine: Engine
) -> Iterator[dict[str, StoredResult]]:
    """Yield the result of each variant as it comes, to be stored at once.

    A variant that fails by its settings, numbers or memory does not stop the others:
    its record says the problem, and it has no arrays. A run that is stopped goes on
    with the next variant. Workers take a part of all variants that share work at a
    time; results are the same, but for their seconds, if each has as many threads.

    Args:
        planned: Variants by the name of their result.
        pending: Those that have to be computed (see `find_pending`).
        engine: What to compute with.
    """
    yield {}  # a folder, even if there is nothing to add
    groups: dict[str, list[str]] = {}
    for name in pending:
        groups.setdefault(planned[name].together or name, []).append(name)
    with progress_bar("variants", total=len(pending), unit="variants") as advance:
        if engine.is_here:
            found = _run_here(planned, groups.values(), engine)
        else:
            found = _run_by_workers(planned, list(groups.values()), engine)
        for name, parts in found:
            yield {name: _finish(planned[name], parts)}
            advance()


def join_parts(parts: Sequence[StoredResult]) -> StoredResult:
    """Return one result of several: arrays one after another, pictures of the first.

    Seconds of all parts are added up, other facts averaged.
    """
    if len(parts) == 1:
        return parts[0]
    arrays = {
        name: array
        if name == PICTURES
        else np.concatenate([part[name] for part, _ in parts])
        for name, array in parts[0][0].items()
    }
    facts = {
        name: float((np.sum if name in _ADDED else np.mean)(values))
        for name in parts[0][1]
        for values in [[own[name] for _, own in parts]]
    }
    return arrays, facts


Parts = list[StoredResult | Exception]


def _run_here(
    planned: Mapping[str, PlannedVariant],
    groups: Iterable[Sequence[str]],
    engine: Engine,
) -> Iterator[tuple[str, Parts]]:
    """Yield the parts of each variant, one variant after another."""
    with engine.limiting_threads():
        for name in chain.from_iterable(groups):
            yield name, [_compute(planned[name], part) for part in planned[name].parts]


def _run_by_workers(
    planned: Mapping[str, PlannedVariant],
    groups: Sequence[Sequence[str]],
    engine: Engine,
) -> Iterator[tuple[str, Parts]]:
    """Yield the parts of each variant when the last of them has come."""
    cases = [
        (names, number)
        for names in groups
        for number in range(len(planned[names[0]].parts))
    ]
    found: dict[str, dict[int, StoredResult | Exception]] = {}
    variants = {name: planned[name] for names in groups for name in names}
    for _, (names, number, results) in engine.run(
        partial(_hold, variants), _compute_group, cases
    ):
        for name, result in zip(names, results, strict=True):
            of_variant = found.setdefault(name, {})
            of_variant[number] = result
            if len(of_variant) == len(planned[name].parts):
                yield name, [of_variant[part] for part in sorted(of_variant)]
                del found[name]


def _hold(
    planned: Mapping[str, PlannedVariant], device: str
) -> Mapping[str, PlannedVariant]:
    return planned


def _compute_group(
    planned: Mapping[str, PlannedVariant], case: tuple[Sequence[str], int]
) -> tuple[Sequence[str], int, Parts]:
    """Return a part of all variants that share work."""
    names, number = case
    results = [_compute(planned[name], planned[name].parts[number]) for name in names]
    return names, number, results


def _compute(one: PlannedVariant, part: Any) -> StoredResult | Exception:
    """Return a part of a result with its seconds, or the failure that is known."""
    began = time.perf_counter()
    try:
        arrays, facts = one.compute(part)
    except Exception as error:
        if not is_known_failure(error):
            raise
        logger.debug("%s failed.", one.variant.label, exc_info=True)
        return error
    seconds = time.perf_counter() - began - facts.get("training_seconds", 0)
    return arrays, {"seconds": seconds, **facts}


def _finish(one: PlannedVariant, parts: Parts) -> StoredResult:
    """Return the result of a variant, or why there is none."""
    record: dict[str, Any] = {"depends_on": one.depends_on, "problem": None}
    for part in parts:
        if isinstance(part, Exception):
            problem = str(part) or repr(part)
            label = f"{one.variant.group} {one.variant.label}".strip()
            logger.warning("%s could not be scored: %s", label, problem)
            return {}, {**record, "problem": problem}
    arrays, facts = join_parts([part for part in parts if isinstance(part, tuple)])
    return arrays, {**record, **facts}
