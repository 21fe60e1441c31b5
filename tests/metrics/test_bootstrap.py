import numpy as np
import pytest

from clip2latent_kedro.metrics.bootstrap import bootstrap_difference, bootstrap_mean


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


def test_pairing_removes_what_prompts_share():
    """Prompts vary by 10, the methods by exactly 0.1 on every one of them."""
    hardness = np.random.default_rng(2).normal(0, 10, size=50)

    interval = bootstrap_difference(hardness + 0.1, hardness, **settings())

    assert interval.mean == pytest.approx(0.1)
    assert interval.low == pytest.approx(0.1)
    assert interval.high == pytest.approx(0.1)


@pytest.mark.parametrize(
    "values", [np.array([]), np.array([1.0, np.nan]), np.ones((2, 2))]
)
def test_values_that_are_no_list_of_numbers_are_refused(values):
    with pytest.raises(ValueError, match="one finite number for each prompt"):
        bootstrap_mean(values, **settings())


def test_unpaired_values_are_refused():
    with pytest.raises(ValueError, match=r"got shapes \[3\] and \[1\]"):
        bootstrap_difference(np.ones(3), np.ones(1), **settings())
