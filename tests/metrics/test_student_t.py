import numpy as np
import pytest

from clip2latent_kedro.metrics.student_t import t_interval, t_quantile


@pytest.mark.parametrize(
    ("probability", "degrees", "expected"),
    [  # of any table of the distribution
        (0.975, 1, 12.7062047),
        (0.975, 2, 4.3026527),
        (0.95, 4, 2.1318468),
        (0.995, 10, 3.1692727),
        (0.5, 3, 0.0),
    ],
)
def test_quantiles_are_those_of_the_table(probability, degrees, expected):
    assert t_quantile(probability, degrees) == pytest.approx(expected, abs=1e-5)


def test_the_interval_of_three_seeds_by_hand():
    found = t_interval([1.0, 2.0, 6.0], 0.95)  # variance 7
    half = 4.3026527 * (7 / 3) ** 0.5
    expected = [3.0, 3.0 - half, 3.0 + half]
    np.testing.assert_allclose([found.mean, found.low, found.high], expected, rtol=1e-5)


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    draws = rng.normal(5.0, 2.0, (2000, 3))
    found = [t_interval(values, 0.9) for values in draws]
    share = np.mean([interval.low <= 5 <= interval.high for interval in found])
    assert share == pytest.approx(0.9, abs=0.02)  # three standard deviations
