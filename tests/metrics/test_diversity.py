from itertools import combinations

import numpy as np
import pytest

from clip2latent_kedro.metrics.diversity import embedding_diversity, pixel_diversity


def test_embedding_diversity_by_hand():
    same = [[2.0, 0.0], [5.0, 0.0], [1.0, 0.0]]
    right_angle_twice = [[1.0, 0.0], [0.0, 3.0], [2.0, 0.0]]  # 1, 0, 1
    opposite = [[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]]  # 2, 0, 2

    found = embedding_diversity(np.array([same, right_angle_twice, opposite]))

    np.testing.assert_allclose(found, [0, 2 / 3, 4 / 3], atol=1e-12)


def test_embedding_diversity_is_the_mean_over_pairs():
    samples = np.random.default_rng(0).normal(size=(6, 8))

    expected = np.mean(
        [
            1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            for a, b in combinations(samples, 2)
        ]
    )

    assert embedding_diversity(samples[None])[0] == pytest.approx(expected)


def test_pixel_diversity_by_hand():
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    red = black.copy()
    red[..., 0] = 255
    images = np.stack([np.stack([black, white, black]), np.stack([black, red, white])])

    found = pixel_diversity(images)

    expected = [2 / 3, ((1 / 3) ** 0.5 + 1 + (2 / 3) ** 0.5) / 3]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("metric", [embedding_diversity, pixel_diversity])
def test_one_sample_has_no_diversity(metric):
    with pytest.raises(ValueError, match="at least 2 samples of each prompt"):
        metric(np.ones((4, 1, 2, 2, 3)))
