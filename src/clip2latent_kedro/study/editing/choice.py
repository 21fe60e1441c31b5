"""Which of the tried settings a row is reported with, and at which strength.

Both are chosen on pictures that are not reported on, by the same rules in every row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clip2latent_kedro.metrics.tradeoff import tradeoff_area
from clip2latent_kedro.study.editing.scores import average_pictures
from clip2latent_kedro.study.samples import Samples

SETTINGS_RULE = (
    "Of the settings that are tried, those of the largest area under the curve of gain "
    "against leakage, the mean of the targets; one that fails for a target has 0 there."
)


@dataclass(frozen=True)
class Choice:
    """What a row is reported with.

    Attributes:
        tried: Number of the settings among those tried.
        areas: Of all that were tried, the mean of the targets.
        strengths: By target, the number of the strength that is reported.
    """

    tried: int
    areas: Sequence[float]
    strengths: Mapping[str, int]


def strength_rule(least_kept: float) -> str:
    """Return how a strength is chosen, for people."""
    return (
        f"Of the strengths, target by target, the one at which most pictures show what "
        f"was asked for and are no blends, among those that keep {least_kept:.0%} of "
        f"the other attributes; if none of these gains anything, the one of the "
        f"largest gain less leakage."
    )


def gain_and_leakage(
    scores: Samples, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return both, [..., num_strengths] each, means over seeds and pictures.

    By the judge; where there is none, by the held-out encoder and the identity
    features: the cosine with the texts' direction, and 1 - the cosine of identities.

    Args:
        scores: Of an edit (see `measuring.measure_edit`).
        weights: Of the pictures (see `average_pictures`).
    """
    gain = average_pictures(scores, "gained", weights)
    if np.isnan(gain).all():
        gain = average_pictures(scores, "direction", weights)
    kept = average_pictures(scores, "kept", weights)
    if np.isnan(kept).all():
        kept = average_pictures(scores, "identity", weights)
    return np.nan_to_num(gain).clip(0, 1), (1 - np.nan_to_num(kept)).clip(0, 1)


def choose(
    tried: Sequence[Mapping[str, Samples | None]],
    *,
    max_leakage: float,
    least_kept: float,
) -> Choice:
    """Return the choice for a row.

    Args:
        tried: Scores by target for each of the settings; None where it failed.
        max_leakage: Up to where areas are taken.
        least_kept: Of other attributes, for the strength.
    """
    areas = [
        float(
            np.mean(
                [
                    0.0
                    if scores is None
                    else tradeoff_area(*gain_and_leakage(scores), limit=max_leakage)
                    for scores in of_targets.values()
                ]
            )
        )
        for of_targets in tried
    ]
    best = int(np.argmax(areas))
    strengths = {
        target: 0 if scores is None else choose_strength(scores, least_kept)
        for target, scores in tried[best].items()
    }
    return Choice(best, areas, strengths)


def choose_strength(scores: Samples, least_kept: float) -> int:
    """Return the number of the strength to report (see `strength_rule`)."""
    gain, leakage = gain_and_leakage(scores)
    allowed = np.flatnonzero((leakage <= 1 - least_kept + 1e-9) & (gain > 0))
    if not len(allowed):
        return int(np.argmax(gain - leakage))
    clean = scores["gained"] * (1 - scores["blended"])
    shown = average_pictures({"clean": clean}, "clean")
    if np.isnan(shown).all():  # no judge, or one that does not say how sure it is
        shown = gain
    return int(allowed[np.argmax(shown[allowed])])
