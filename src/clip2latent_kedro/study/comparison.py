"""How sure scores are: means over prompts, and one variant against another."""

from collections.abc import Mapping, Sequence

import numpy as np

from clip2latent_kedro.metrics.bootstrap import Interval, bootstrap_mean
from clip2latent_kedro.metrics.student_t import t_interval
from clip2latent_kedro.runtime import derive_seed

OF_BEST = "_best"  # ends the names of scores of the best sample
MEASURED_BY = {
    "clip_score": ("encoder",),
    "clip_score_best": ("encoder",),
    "held_out_score": ("held_out_encoder",),
    "held_out_score_best": ("held_out_encoder", "encoder"),
    "accuracy": ("judge",),
    "accuracy_best": ("judge", "encoder"),
    "all_right": ("judge",),
    "all_right_best": ("judge", "encoder"),
    "blended": ("judge",),
    "detected": ("judge",),
    "clip_diversity": ("encoder",),
}  # models that decide what a score is; the best sample is the encoder's choice
FEWEST_PROMPTS = 8  # to decide by: fewer may agree by chance, and show no spread


def bootstrap_scores(
    scores: Mapping[str, np.ndarray],
    *,
    num_resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Interval]:
    """Return the mean over prompts of each score that applies to any of them.

    All variants of a run are resampled with the same prompts.

    Args:
        scores: By name, one number a prompt, NaN where it does not apply,
            [num_prompts].
        num_resamples: Bootstrap draws.
        confidence: Of the intervals.
        seed: Seed of the run.
    """
    applying = {name: values[~np.isnan(values)] for name, values in scores.items()}
    return {
        name: bootstrap_mean(
            values,
            num_resamples=num_resamples,
            confidence=confidence,
            generator=np.random.default_rng(derive_seed(seed, "bootstrap")),
        )
        for name, values in applying.items()
        if len(values)
    }


def paired_difference(
    values: np.ndarray | Sequence[float],
    baseline: np.ndarray | Sequence[float],
    *,
    confidence: float,
    num_comparisons: int = 1,
    fewest: int = FEWEST_PROMPTS,
) -> Interval | None:
    """Return the mean difference, paired, with an interval to decide by.

    It is Student's t: many comparisons reach far into the tails, where a bootstrap
    has no draws.

    Args:
        values: One a prompt, or one a seed; NaN where there is none, [n].
        baseline: Values of the other variant, of the same prompts or seeds, [n].
        confidence: That all the comparisons are right together.
        num_comparisons: How many are made; each has its part of the error
            (Bonferroni).
        fewest: Over fewer pairs the interval is infinite.

    Returns:
        Values - baseline over the pairs that both have; None if there are none.
    """
    difference = np.subtract(values, baseline)
    difference = difference[np.isfinite(difference)]
    if not difference.size:
        return None
    if difference.size < fewest:
        return Interval(float(difference.mean()), -np.inf, np.inf)
    each = 1 - (1 - confidence) / num_comparisons
    return t_interval(difference.tolist(), each)


def is_comparable(score: str, num_samples: int, other_num_samples: int) -> bool:
    """Return whether a score of two variants is the same quantity.

    The best of more samples is higher for no other reason.

    Args:
        score: Its name.
        num_samples: Images of each prompt in the one variant.
        other_num_samples: And in the other.
    """
    return not score.endswith(OF_BEST) or num_samples == other_num_samples
