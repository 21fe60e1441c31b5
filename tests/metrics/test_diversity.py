import numpy as np
import pytest
import torch

from clip2latent_kedro.metrics.diversity import (
    embedding_diversity,
    pixel_distances,
    pixel_diversity,
)


def test_embedding_diversity_by_hand():
    same = [[2.0, 0.0], [5.0, 0.0], [1.0, 0.0]]
    right_angle_twice = [[1.0, 0.0], [0.0, 3.0], [2.0, 0.0]]  # 1, 0, 1
    opposite = [[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]]  # 2, 0, 2

    found = embedding_diversity(np.array([same, right_angle_twice, opposite]))

    np.testing.assert_allclose(found, [0, 2 / 3, 4 / 3], atol=1e-12)


def test_pixel_diversity_by_hand():
    black, white = -torch.ones(3, 2, 2), 3 * torch.ones(3, 2, 2)  # shown as 1
    red = black.clone()
    red[0] = 1
    prompts = [[black, white, black], [black, red, white]]
    distances = np.stack([pixel_distances(torch.stack(images)) for images in prompts])

    found = pixel_diversity(distances)

    assert np.array_equal(distances[0] > 0, [[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    expected = [2 / 3, ((1 / 3) ** 0.5 + 1 + (2 / 3) ** 0.5) / 3]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_differences_below_a_step_of_8_bits_count():
    images = torch.zeros(2, 3, 4, 4)
    images[1] += 1e-3
    distances = pixel_distances(images)[None]
    np.testing.assert_allclose(pixel_diversity(distances), [5e-4], rtol=1e-4)


@pytest.mark.parametrize("metric", [embedding_diversity, pixel_diversity])
def test_one_sample_has_no_diversity(metric):
    with pytest.raises(ValueError, match="at least 2 samples of each prompt"):
        metric(np.ones((4, 1, 1)))
