"""Which of several variants is best: one rule, for samplers and baselines alike.

A default is to show what the prompt states, in pictures that are whole, and to leave
open what the prompt leaves open. The first two are demands, the last is the aim.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.study.comparison import paired_difference

DEMANDS = {"accuracy": 1, "blended": -1}  # by how a score is better: more, or less
WITHOUT_JUDGE = {"clip_score": 1}
AIM = "clip_diversity"
RULE = (
    "The most diverse of those that are shown to lose at most a tolerance of the "
    "stated attributes against the variant that has most of them right, and of these "
    "at most a tolerance of blends against the one that has fewest: the whole interval "
    "of the paired difference lies within the tolerance. The intervals are widened for "
    "the number of comparisons (Bonferroni), so that few prompts leave the first "
    "alone. Where no judge tells attributes, the CLIP score is in their place. Where "
    "there is one answer to a prompt, that of fewest blends."
)


@dataclass(frozen=True)
class Tolerances:
    """What the most diverse may lose against the best.

    Attributes:
        accuracy: Share of the stated attributes.
        blended: Share of images that are blends.
        clip_score: CLIP score, where no judge tells attributes.
    """

    accuracy: float
    blended: float
    clip_score: float


@dataclass(frozen=True)
class Choice:
    """The outcome of the rule.

    Attributes:
        best: Key of the variant.
        contenders: Keys that each demand has left, by its score.
        num_comparisons: That the intervals allow for: of every variant but the first
            with that one, by each demand.
    """

    best: str
    contenders: dict[str, list[str]]
    num_comparisons: int


def choose_variant(
    scores: Mapping[str, Mapping[str, np.ndarray]],
    *,
    tolerances: Tolerances,
    confidence: float,
) -> Choice:
    """Return the best variant by `RULE`.

    Args:
        scores: Of each variant by key, [num_prompts] each, of the same prompts; NaN,
            or no score of that name, where one does not apply.
        tolerances: What may be lost.
        confidence: That none is left which in truth loses more, by any demand.

    Raises:
        InputError: If there is no variant.
    """
    if not scores:
        msg = (
            "A search for settings must have a variant that could be scored, got none. "
            "Change its grids."
        )
        raise InputError(msg)
    means = {key: _means(found) for key, found in scores.items()}
    judged = any("accuracy" in found for found in means.values())
    demands = {
        score: sign
        for score, sign in (DEMANDS if judged else WITHOUT_JUDGE).items()
        if any(score in found for found in means.values())
    }
    num_comparisons = len(demands) * (len(scores) - 1)
    left = list(scores)
    contenders: dict[str, list[str]] = {}
    for score, sign in demands.items():
        left = [key for key in left if score in means[key]] or left
        leader = max(left, key=lambda key: sign * means[key].get(score, -np.inf))
        kept = {leader}
        for key in left:
            loss = paired_difference(
                sign * scores[leader][score],
                sign * scores[key][score],
                confidence=confidence,
                num_comparisons=max(1, num_comparisons),
            )
            if loss is not None and loss.high <= getattr(tolerances, score):
                kept.add(key)
        left = [key for key in left if key in kept]
        contenders[score] = left
    return Choice(_first(left, means), contenders, num_comparisons)


def _first(left: list[str], means: Mapping[str, Mapping[str, float]]) -> str:
    """Return the most diverse; where none has a diversity, that of fewest blends."""
    for score, sign in ((AIM, 1), ("blended", -1), ("accuracy", 1), ("clip_score", 1)):
        known = [key for key in left if score in means[key]]
        if known:
            return max(known, key=lambda key: sign * means[key][score])
    return left[0]


def _means(scores: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the mean over prompts of each score that applies to any."""
    applying = {name: values[np.isfinite(values)] for name, values in scores.items()}
    return {n: float(values.mean()) for n, values in applying.items() if len(values)}
