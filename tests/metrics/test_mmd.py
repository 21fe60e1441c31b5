from itertools import product

import numpy as np
import pytest

from clip2latent_kedro.metrics.mmd import clip_mmd, kernel_distance


def make_sets(n=7, m=9, d=4):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)) + 0.5


def test_kernel_distance_by_double_loop():
    x, y = make_sets(n=8, m=8)

    def k(a, b):
        return (a @ b / 4 + 1) ** 3

    pairs = [(i, j) for i, j in product(range(8), repeat=2) if i != j]
    expected = np.mean([k(x[i], x[j]) + k(y[i], y[j]) for i, j in pairs])
    expected -= 2 * np.mean([k(a, b) for a, b in product(x, y)])
    found = kernel_distance(
        x, y, num_subsets=3, subset_size=100, generator=np.random.default_rng(1)
    )
    assert found == pytest.approx(expected)


def test_kernel_distance_has_no_bias_where_the_sets_are_one():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((4000, 5))
    distances = [
        kernel_distance(x, y, num_subsets=1, subset_size=20, generator=rng)
        for x, y in rows.reshape(100, 2, 20, 5)
    ]
    error = np.std(distances) / 10
    assert abs(np.mean(distances)) < 3 * error
    assert min(distances) < 0


def test_subsets_are_drawn_without_replacement_from_both_sets():
    x, y = make_sets(n=300, m=200)
    whole = kernel_distance(
        x, y, num_subsets=1, subset_size=200, generator=np.random.default_rng(0)
    )
    subsets = kernel_distance(
        x, y, num_subsets=400, subset_size=20, generator=np.random.default_rng(0)
    )
    assert subsets == pytest.approx(whole, rel=0.1)


def test_clip_mmd_by_double_loop():
    x, y = make_sets()

    def k(a, b):
        a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
        return np.exp(-np.square(a - b).sum() / 200)

    def mean(first, second):
        return np.mean([k(a, b) for a, b in product(first, second)])

    expected = 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))
    assert clip_mmd(x, y) == pytest.approx(expected)
    assert clip_mmd(5 * x, y) == pytest.approx(expected)  # only directions count


def test_clip_mmd_of_opposite_points():
    """Two sets of one direction each, 2 apart: 2 - 2 exp(-4 / 200)."""
    x = np.tile([1.0, 0], (3, 1))
    assert clip_mmd(x, -x) == pytest.approx(1000 * (2 - 2 * np.exp(-0.02)))
    assert clip_mmd(x, x) == pytest.approx(0, abs=1e-9)


def test_sets_and_settings_out_of_range_are_refused():
    x, y = make_sets()
    settings = {"num_subsets": 1, "generator": np.random.default_rng(0)}
    with pytest.raises(ValueError, match="subset_size 2 or more, got 1 and 1"):
        kernel_distance(x, y, subset_size=1, **settings)
    with pytest.raises(ValueError, match="same width"):
        kernel_distance(x, y[:, :2], subset_size=5, **settings)
    with pytest.raises(ValueError, match="other than zero"):
        clip_mmd(0 * x, y)
