"""Intervals against closed form."""

import numpy as np
import pytest

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.study.comparison import (
    bootstrap_scores,
    is_comparable,
    paired_difference,
)

RESAMPLING = {"num_resamples": 500, "confidence": 0.99, "seed": 0}


def test_a_mean_is_over_the_prompts_to_which_a_score_applies():
    scores = {
        "accuracy": np.array([0.0, np.nan, 1.0]),
        "all_right": np.full(3, np.nan),
        "clip_score": np.full(3, 0.25),
    }
    found = bootstrap_scores(scores, **RESAMPLING)
    assert list(found) == ["accuracy", "clip_score"]
    assert found["accuracy"] == Interval(0.5, 0.0, 1.0)
    assert found["clip_score"] == Interval(0.25, 0.25, 0.25)
    assert bootstrap_scores(scores, **RESAMPLING) == found


def test_all_variants_are_resampled_with_the_same_prompts():
    values = np.random.default_rng(0).normal(size=30)
    found = bootstrap_scores({"a": values, "b": values + 1}, **RESAMPLING)
    assert found["b"].low - found["a"].low == pytest.approx(1)
    assert found["b"].high - found["a"].high == pytest.approx(1)


@pytest.mark.parametrize(
    ("num_comparisons", "quantile"),
    [(1, 2.001), (2, 2.300), (40, 3.391)],  # t of 59 degrees of freedom
)
def test_a_difference_is_paired_and_widened_by_bonferroni(num_comparisons, quantile):
    """60 prompts that differ much more than the two variants, by +-1 about 0.5."""
    prompts = 9 * np.random.default_rng(0).normal(size=60)
    own = np.repeat([-1.0, 1.0], 30)
    found = paired_difference(
        prompts + own + 0.5, prompts, confidence=0.95, num_comparisons=num_comparisons
    )
    half = quantile / 59**0.5  # std(ddof=1) is sqrt(60 / 59), over sqrt(60)
    expected = [0.5, 0.5 - half, 0.5 + half]
    np.testing.assert_allclose([found.mean, found.low, found.high], expected, atol=1e-4)


def test_few_pairs_tell_nothing_unless_they_are_seeds():
    """Three seeds: t(0.975, 2) is 4.3027."""
    one, other = [1.0, 2.0, 3.0], [0.0, 1.0, 1.0]
    few = paired_difference(one, other, confidence=0.95)
    assert (few.mean, few.low, few.high) == (pytest.approx(4 / 3), -np.inf, np.inf)
    seeds = paired_difference(one, other, confidence=0.95, fewest=2)
    half = 4.30265 * (1 / 3) ** 0.5 / 3**0.5
    assert (seeds.low, seeds.high) == pytest.approx(
        (4 / 3 - half, 4 / 3 + half), abs=1e-5
    )
    lacking = paired_difference([np.nan, 1.0], [1.0, np.nan], confidence=0.95)
    assert lacking is None


def test_the_best_of_other_numbers_of_samples_is_not_compared():
    assert is_comparable("clip_score", 4, 2)
    assert is_comparable("clip_score_best", 4, 4)
    assert not is_comparable("clip_score_best", 4, 2)
