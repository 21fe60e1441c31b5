"""Which of several variants is best, by a rule that does not chase noise."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.metrics.bootstrap import bootstrap_difference
from clip2latent_kedro.runtime import derive_seed

CRITERIA = ("accuracy", "clip_score", "clip_diversity")
RULE = (
    "The most stated attributes right in one sample. Of those that cannot be told from "
    "it (the interval of the paired difference holds 0), the highest CLIP score; of "
    "those that are not shown to be worse than that by more than a tolerance, the most "
    "diverse. A score that applies to no prompt is passed over."
)


@dataclass(frozen=True)
class Choice:
    """The outcome of the rule.

    Attributes:
        best: Key of the variant.
        contenders: Keys that each criterion but the last has left, by criterion.
    """

    best: str
    contenders: dict[str, list[str]]


def choose_best(
    scores: Mapping[str, Mapping[str, np.ndarray]],
    *,
    clip_tolerance: float,
    num_resamples: int,
    confidence: float,
    seed: int,
) -> Choice:
    """Return the best variant by `RULE`.

    Args:
        scores: Of each variant by key, [num_prompts] each, of the same prompts.
        clip_tolerance: CLIP score that may be given up for diversity.
        num_resamples: Bootstrap draws.
        confidence: Of the intervals.
        seed: Seed of the run.

    Raises:
        InputError: If there is no variant.
    """
    if not scores:
        msg = "The sweep has no variant that could be scored. Change sweep.grids."
        raise InputError(msg)
    left = list(scores)
    contenders: dict[str, list[str]] = {}
    for criterion in CRITERIA:
        means = {key: _mean(scores[key][criterion]) for key in left}
        if np.isnan(list(means.values())).all():
            continue
        leader = max(left, key=lambda key: np.nan_to_num(means[key], nan=-np.inf))
        if criterion == CRITERIA[-1]:
            left = [leader]
            continue
        lead = scores[leader][criterion]
        if criterion == "clip_score":
            lead = lead - clip_tolerance
        generator_seed = derive_seed(seed, "bootstrap")
        left = [
            key
            for key in left
            if _reaches(
                lead,
                scores[key][criterion],
                num_resamples,
                confidence,
                np.random.default_rng(generator_seed),
            )
        ]
        contenders[criterion] = left
    return Choice(left[0], contenders)


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def _reaches(
    lead: np.ndarray,
    values: np.ndarray,
    num_resamples: int,
    confidence: float,
    generator: np.random.Generator,
) -> bool:
    """Return whether the lead over other values may be 0."""
    applies = np.isfinite(lead) & np.isfinite(values)
    if not applies.any():
        return False
    difference = bootstrap_difference(
        lead[applies],
        values[applies],
        num_resamples=num_resamples,
        confidence=confidence,
        generator=generator,
    )
    return difference.low <= 0
