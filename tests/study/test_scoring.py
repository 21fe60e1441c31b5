from dataclasses import replace

import numpy as np
import pytest
import torch

from clip2latent_kedro.latents import LatentGaussian
from clip2latent_kedro.study import (
    SCORES,
    Drawn,
    Queries,
    best_samples,
    score_prompts,
    summarise_scores,
)


@pytest.fixture
def queries():
    return Queries(
        texts=["a", "b"],
        embedding=torch.tensor([[2.0, 0], [0, 3.0]]),
        stated=np.array([[1, 0, -1], [-1, -1, -1]]),
    )


@pytest.fixture
def drawn():
    return Drawn(
        images=np.array([0, 255, 255, 255], np.uint8)
        .reshape(2, 2, 1, 1, 1)
        .repeat(3, axis=4),
        image_embedding=np.array([[[3.0, 4], [4, 3]], [[0, 1], [0, 1]]]),
        pixel_distance=np.array([[[0, 1.0], [1, 0]], [[0, 0], [0, 0]]]),
        seen=np.array([[[1, 1, 0], [1, 0, 2]], [[0, 0, 0], [1, 1, 1]]]),
        w=None,
    )


def test_scores_of_a_case_worked_by_hand(drawn, queries):
    scores = score_prompts(drawn, queries)
    assert list(scores) == list(SCORES)
    expected = {
        "clip_score": [0.7, 1],
        "clip_score_best": [0.8, 1],
        "held_out_score": [np.nan, np.nan],
        "held_out_score_best": [np.nan, np.nan],
        "accuracy": [0.75, np.nan],
        "accuracy_best": [1, np.nan],
        "all_right": [0.5, np.nan],
        "all_right_best": [1, np.nan],
        "clip_diversity": [1 - 0.96, 0],
        "pixel_diversity": [1, 0],
        "w_distance": [np.nan, np.nan],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(scores[name], values, atol=1e-12, err_msg=name)
    assert best_samples(drawn, queries).tolist() == [1, 0]


def test_the_held_out_score_is_of_the_sample_that_clip_likes_best(drawn, queries):
    by_another = np.array([[[0, 1.0], [1, 1]], [[0, 5], [5, 0]]])
    scores = score_prompts(
        replace(drawn, held_out_embedding=by_another),
        replace(queries, held_out_embedding=torch.tensor([[0.0, 1], [0, 1]])),
    )
    np.testing.assert_allclose(scores["held_out_score"], [(1 + 0.5**0.5) / 2, 0.5])
    # CLIP likes the second sample of the first prompt, the held-out CLIP the first.
    np.testing.assert_allclose(scores["held_out_score_best"], [0.5**0.5, 1])


def test_a_single_sample_and_no_judge_leave_scores_empty(drawn, queries):
    alone = Drawn(
        drawn.images[:, :1],
        drawn.image_embedding[:, :1],
        drawn.pixel_distance[:, :1, :1],
        np.empty((2, 1, 0), dtype=np.int64),
        None,
    )
    unjudged = Queries(
        queries.texts,
        queries.embedding,
        np.empty((2, 0), dtype=np.int64),
    )
    scores = score_prompts(alone, unjudged)
    applying = {name for name in scores if not np.isnan(scores[name]).any()}
    assert applying == {"clip_score", "clip_score_best"}
    np.testing.assert_allclose(scores["clip_score"], [0.6, 1])


def test_the_distance_is_that_of_the_latents_from_the_gaussian(drawn, queries):
    """Two latents for layers 0 and 1-2; a Gaussian of std (1, 2) about (1, 0)."""
    gaussian = LatentGaussian(
        mean=torch.tensor([[1.0, 0], [1, 0]]),
        axes=torch.eye(2).repeat(2, 1, 1),
        std=torch.tensor([[1.0, 2], [1, 2]]),
        radii=torch.ones(101),
    )
    at_mean = np.tile(np.array([1.0, 0], np.float32), (3, 1))
    away = at_mean + np.array([[2.0, 0], [0, 4], [0, 4]], np.float32)
    spared = at_mean + np.array([[0, 0], [4, 0], [0, 0]], np.float32)  # mean: 2
    w = np.array([[at_mean, away], [spared, spared]])
    scores = score_prompts(replace(drawn, w=w), queries, gaussian, [1, 2])
    # Squared distances are means over two latents of two channels.
    expected = [np.sqrt((4 + 4) / 4) / 2, np.sqrt(4 / 4)]
    np.testing.assert_allclose(scores["w_distance"], expected, rtol=1e-6)
    assert np.isnan(score_prompts(drawn, queries, gaussian, [1, 2])["w_distance"]).all()


def test_summary_is_over_the_prompts_to_which_a_score_applies():
    by_prompt = {
        "accuracy": np.array([0.0, np.nan, 1.0]),
        "all_right": np.full(3, np.nan),
        "clip_score": np.full(3, 0.25),
    }
    summary = summarise_scores(by_prompt, num_resamples=500, confidence=0.99, seed=0)
    assert list(summary) == ["accuracy", "clip_score"]
    assert (summary["accuracy"].mean, summary["accuracy"].low) == (0.5, 0.0)
    assert (summary["clip_score"].low, summary["clip_score"].high) == (0.25, 0.25)
    again = summarise_scores(by_prompt, num_resamples=500, confidence=0.99, seed=0)
    assert again == summary
