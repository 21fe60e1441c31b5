from itertools import combinations

import numpy as np
import pytest

from clip2latent_kedro.metrics.clip_score import best_of, clip_scores


def test_scores_are_cosines_whatever_the_lengths():
    image = np.array([[[3.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [-1.0, 0.0]]])
    text = np.array([[10.0, 0.0], [0.5, 0.0]])

    scores = clip_scores(image, text)

    np.testing.assert_allclose(scores, [[1, 0], [0.5**0.5, -1]], atol=1e-12)


def test_an_image_in_which_nothing_is_seen_scores_nothing():
    image = np.array([[[0.0, 0.0], [2.0, 0.0]]])
    np.testing.assert_allclose(clip_scores(image, np.array([[1.0, 0.0]])), [[0, 1]])


@pytest.mark.parametrize(
    ("image", "text", "message"),
    [
        (np.ones((2, 4, 5)), np.ones((3, 5)), "samples of 3 prompts, got 2"),
        (np.full((1, 1, 2), np.nan), np.ones((1, 2)), "finite vectors other than zero"),
        (np.full((1, 1, 2), np.inf), np.ones((1, 2)), "finite vectors other than zero"),
        (np.ones((1, 1, 2)), np.zeros((1, 2)), "finite vectors other than zero"),
    ],
)
def test_what_has_no_cosine_is_refused(image, text, message):
    with pytest.raises(ValueError, match=message):
        clip_scores(image, text)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_best_of_is_the_mean_over_all_subsets(n):
    scores = np.random.default_rng(0).normal(size=(3, 5))

    expected = [
        np.mean([max(subset) for subset in combinations(row, n)]) for row in scores
    ]

    np.testing.assert_allclose(best_of(scores, n), expected)


@pytest.mark.parametrize("n", [0, 4])
def test_best_of_more_than_there_are_is_refused(n):
    with pytest.raises(ValueError, match=f"1 to the 3 samples of a prompt, got {n}"):
        best_of(np.zeros((2, 3)), n)
