"""One row against another, prompt by prompt."""

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
    "clip_diversity": ("encoder",),
}  # models that decide what a score is; the best sample is the encoder's choice
FEWEST_PROMPTS = 8  # to decide by: fewer may agree by chance, and show no spread


def compare_scores(
    values: np.ndarray,
    baseline: np.ndarray,
    *,
    num_resamples: int,
    confidence: float,
    seed: int,
) -> Interval | None:
    """Return the mean difference, paired by prompt, with its interval.

    Every pair of rows is resampled with the same prompts.

    Args:
        values: One a prompt, NaN where there is none, [num_prompts].
        baseline: Likewise, of the same prompts.
        num_resamples: Bootstrap draws.
        confidence: Of the interval.
        seed: Seed of the run.

    Returns:
        Values - baseline over the prompts that both have; None if there are none.
    """
    both = np.isfinite(values) & np.isfinite(baseline)
    if not both.any():
        return None
    return bootstrap_mean(
        values[both] - baseline[both],
        num_resamples=num_resamples,
        confidence=confidence,
        generator=np.random.default_rng(derive_seed(seed, "bootstrap")),
    )


def tell_apart(
    values: np.ndarray,
    baseline: np.ndarray,
    *,
    confidence: float,
    num_comparisons: int = 1,
) -> Interval | None:
    """Return the mean difference, paired by prompt, with an interval to decide by.

    It is Student's t: many comparisons reach far into the tails, where a bootstrap
    has no draws. Over fewer than `FEWEST_PROMPTS` it is infinite.

    Args:
        values: One a prompt, NaN where there is none, [num_prompts].
        baseline: Likewise, of the same prompts.
        confidence: That all the comparisons are right together.
        num_comparisons: How many are made; each has its part of the error
            (Bonferroni).

    Returns:
        Values - baseline over the prompts that both have; None if there are none.
    """
    difference = np.subtract(values, baseline)
    difference = difference[np.isfinite(difference)]
    if not difference.size:
        return None
    if difference.size < FEWEST_PROMPTS:
        return Interval(float(difference.mean()), -np.inf, np.inf)
    each = 1 - (1 - confidence) / num_comparisons
    return t_interval(difference.tolist(), each)


def is_comparable(score: str, num_samples: int, other_num_samples: int) -> bool:
    """Return whether a score of two rows means the same.

    The best of more samples is higher for no other reason.

    Args:
        score: Its name.
        num_samples: Images of each prompt in the one row.
        other_num_samples: And in the other.
    """
    return not score.endswith(OF_BEST) or num_samples == other_num_samples
