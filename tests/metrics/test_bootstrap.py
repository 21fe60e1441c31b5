import numpy as np
import pytest

from clip2latent_kedro.metrics.bootstrap import bootstrap_mean


def settings(seed=0, num_resamples=4000, confidence=0.95):
    return {
        "num_resamples": num_resamples,
        "confidence": confidence,
        "generator": np.random.default_rng(seed),
    }


def test_two_values_resample_binomially():
    """Means of (0, 1) are 0, 1/2, 1 with chances 1/4, 1/2, 1/4."""
    values = np.array([0.0, 1.0])

    wide = bootstrap_mean(values, **settings(confidence=0.6))
    narrow = bootstrap_mean(values, **settings(confidence=0.4))

    assert (wide.mean, wide.low, wide.high) == (0.5, 0.0, 1.0)
    assert (narrow.low, narrow.high) == (0.5, 0.5)


def test_interval_of_many_values_is_the_normal_one():
    values = np.random.default_rng(1).normal(3.0, 2.0, size=400)

    interval = bootstrap_mean(values, **settings())

    half = 1.96 * values.std() / 20
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


@pytest.mark.parametrize(
    "values", [np.array([]), np.array([1.0, np.nan]), np.ones((2, 2))]
)
def test_values_that_are_no_list_of_numbers_are_refused(values):
    with pytest.raises(ValueError, match="one finite number for each prompt"):
        bootstrap_mean(values, **settings())
