"""Which of several variants is best, by a rule that does not chase noise."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.study.comparison import paired_difference

CRITERIA = ("accuracy", "clip_score", "clip_diversity")
RULE = (
    "The most stated attributes right in one sample. Of those that cannot be told from "
    "it (the interval of the paired difference reaches 0), the highest CLIP score; of "
    "those that are not shown to be worse than that by more than a tolerance, the most "
    "diverse. The intervals are widened for the number of comparisons (Bonferroni). A "
    "score that applies to no prompt is passed over."
)


@dataclass(frozen=True)
class Choice:
    """The outcome of the rule.

    Attributes:
        best: Key of the variant.
        contenders: Keys that each criterion but the last has left, by criterion.
        num_comparisons: That the intervals allow for: of every variant but the first
            with that one, by each criterion but the last.
    """

    best: str
    contenders: dict[str, list[str]]
    num_comparisons: int


def choose_variant(
    scores: Mapping[str, Mapping[str, np.ndarray]],
    *,
    clip_tolerance: float,
    confidence: float,
) -> Choice:
    """Return the best variant by `RULE`.

    Args:
        scores: Of each variant by key, [num_prompts] each, of the same prompts.
        clip_tolerance: CLIP score that may be given up for diversity.
        confidence: That no variant is dropped which is in truth the first, by any
            criterion.

    Raises:
        InputError: If there is no variant.
    """
    if not scores:
        msg = "The sweep has no variant that could be scored. Change sweep.grids."
        raise InputError(msg)
    left = list(scores)
    num_comparisons = (len(CRITERIA) - 1) * (len(scores) - 1)
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
        others = [key for key in left if key != leader]
        kept = {leader}
        for key in others:
            ahead = paired_difference(
                lead,
                scores[key][criterion],
                confidence=confidence,
                num_comparisons=num_comparisons,
            )
            if ahead is not None and ahead.low <= 0:
                kept.add(key)
        left = [key for key in left if key in kept]
        contenders[criterion] = left
    return Choice(left[0], contenders, num_comparisons)


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan
