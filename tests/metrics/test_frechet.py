import numpy as np
import pytest

from clip2latent_kedro.metrics.frechet import frechet_distance


def with_moments(mean, covariance, n=40, seed=0):
    """Return rows whose sample mean and covariance are exactly the given ones."""
    mean = np.asarray(mean, float)
    rows = np.random.default_rng(seed).standard_normal((n, len(mean)))
    rows -= rows.mean(axis=0)
    whiten = np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(rows.T))))
    return rows @ whiten.T @ np.linalg.cholesky(covariance).T + mean


def test_gaussians_of_one_dimension():
    """(m1 - m2)^2 + (s1 - s2)^2."""
    first, second = with_moments([1.0], [[4.0]]), with_moments([3.0], [[25.0]], seed=1)
    assert frechet_distance(first, second) == pytest.approx(4 + 9)


def test_other_covariances_by_the_roots_of_their_product():
    rng = np.random.default_rng(3)
    x, y = (
        rng.standard_normal((30, 5)),
        rng.standard_normal((50, 5)) @ rng.random((5, 5)),
    )
    s, t = np.cov(x.T), np.cov(y.T)
    roots = np.sqrt(np.linalg.eigvals(s @ t).astype(complex)).real.sum()
    offset = np.square(x.mean(0) - y.mean(0)).sum()
    expected = offset + np.trace(s) + np.trace(t) - 2 * roots
    assert frechet_distance(x, y) == pytest.approx(expected)
    assert frechet_distance(y, x) == pytest.approx(expected)


def test_a_set_is_at_no_distance_from_itself_also_when_it_is_small():
    rows = np.random.default_rng(0).standard_normal((4, 20)).astype(np.float32)
    assert frechet_distance(rows, rows[::-1]) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(rows, rows + 0.5) == pytest.approx(20 * 0.25, abs=1e-5)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.ones((3, 2)), np.ones((3, 4)), r"got shapes \[3, 2\] and \[3, 4\]"),
        (np.ones((1, 2)), np.ones((3, 2)), "two or more rows"),
        (np.ones((3, 2)), np.full((3, 2), np.nan), "must be finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(first, second)
