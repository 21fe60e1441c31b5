from itertools import product

import numpy as np
import pytest

from clip2latent_kedro.metrics.mmd import clip_mmd, kernel_distance


def make_sets(n=7, m=9, d=4):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)) + 0.5


def test_kernel_distance_by_double_loop():
    """Over pairs of rows of two prompts, and over all pairs of the reference."""
    x, y = make_sets(n=8, m=9)
    prompts = [0, 0, 1, 1, 2, 2, 3, 3]

    def k(a, b):
        return (a @ b / 4 + 1) ** 3

    def distance(left):
        rows = [i for i in range(8) if prompts[i] not in left]
        apart = [(i, j) for i, j in product(rows, rows) if prompts[i] != prompts[j]]
        others = [(i, j) for i, j in product(range(9), repeat=2) if i != j]
        return (
            np.mean([k(x[i], x[j]) for i, j in apart])
            + np.mean([k(y[i], y[j]) for i, j in others])
            - 2 * np.mean([k(x[i], b) for i, b in product(rows, y)])
        )

    found, error = kernel_distance(x.reshape(4, 2, 4), y)
    assert found == pytest.approx(distance([]))
    without = [distance([prompt]) for prompt in range(4)]
    assert error == pytest.approx(np.sqrt(3 / 4 * 4 * np.var(without)))


@pytest.mark.parametrize("num_samples", [1, 4])
@pytest.mark.parametrize("num_prompts", [5, 40])
def test_kernel_distance_has_no_bias_whatever_the_numbers(num_prompts, num_samples):
    """Prompts are drawn, and their images around them: the whole is the reference."""
    rng = np.random.default_rng(0)

    def draw(n):
        centres = rng.normal(0, 0.8, (n, 1, 3))
        return centres + rng.normal(0, 0.6, (n, num_samples, 3))  # variance 1

    reference = rng.normal(size=(300, 300, 3))
    distances = [kernel_distance(draw(num_prompts), rows)[0] for rows in reference]
    spread = np.std(distances) / len(distances) ** 0.5
    assert abs(np.mean(distances)) < 3 * spread
    assert min(distances) < 0


def test_kernel_distance_of_too_few_prompts_is_not_known():
    x, y = make_sets(n=6)
    one, two = (kernel_distance(x.reshape(n, -1, 4), y) for n in (1, 2))
    assert np.isnan(one).all()
    assert np.isnan(kernel_distance(x[None, :1], y)).all()  # a single image
    assert np.isfinite(two[0])
    assert np.isnan(two[1])


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


def test_sets_and_settings_out_of_range_are_refused():
    x, y = make_sets()
    with pytest.raises(ValueError, match="same width"):
        kernel_distance(x[:, None, :2], y)
    with pytest.raises(ValueError, match="other than zero"):
        clip_mmd(0 * x, y)
