from dataclasses import replace

import numpy as np
import pytest
import torch

from clip2latent_kedro.latents import LatentGaussian
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.study.scoring import (
    SCORES,
    applying_scores,
    best_samples,
    choose_best,
    score_prompts,
)


@pytest.fixture
def queries():
    return Queries(
        texts=["a", "b"],
        embedding=torch.tensor([[2.0, 0], [0, 3.0]]),
        stated=np.array([[1, 0, -1], [-1, -1, -1]]),
    )


@pytest.fixture
def samples():
    return {
        "image_embedding": np.array([[[3.0, 4], [4, 3]], [[0, 1], [0, 1]]]),
        "pixel_distance": np.array([[[0, 1.0], [1, 0]], [[0, 0], [0, 0]]]),
        "seen": np.array([[[1, 1, 0], [1, 0, 2]], [[0, 0, 0], [1, 1, 1]]]),
    }


def test_scores_of_a_case_worked_by_hand(samples, queries):
    scores = score_prompts(samples, queries)
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
        "blended": [np.nan, np.nan],
        "detected": [np.nan, np.nan],
        "w_distance": [np.nan, np.nan],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(scores[name], values, atol=1e-12, err_msg=name)
    assert best_samples(samples, queries).tolist() == [1, 0]


def test_the_held_out_score_is_of_the_sample_that_clip_likes_best(samples, queries):
    by_another = np.array([[[0, 1.0], [1, 1]], [[0, 5], [5, 0]]])
    scores = score_prompts(
        {**samples, "held_out_embedding": by_another},
        replace(queries, held_out_embedding=torch.tensor([[0.0, 1], [0, 1]])),
    )
    np.testing.assert_allclose(scores["held_out_score"], [(1 + 0.5**0.5) / 2, 0.5])
    # CLIP likes the second sample of the first prompt, the held-out CLIP the first.
    np.testing.assert_allclose(scores["held_out_score_best"], [0.5**0.5, 1])


def test_a_single_sample_and_no_judge_leave_scores_empty(samples, queries):
    alone = {
        "image_embedding": samples["image_embedding"][:, :1],
        "pixel_distance": samples["pixel_distance"][:, :1, :1],
        "seen": np.empty((2, 1, 0), dtype=np.int64),
    }
    unjudged = Queries(
        queries.texts,
        queries.embedding,
        np.empty((2, 0), dtype=np.int64),
    )
    scores = score_prompts(alone, unjudged)
    applying = {name for name in scores if not np.isnan(scores[name]).any()}
    assert applying == {"clip_score", "clip_score_best"}
    np.testing.assert_allclose(scores["clip_score"], [0.6, 1])


def test_blends_are_counted_by_what_can_be_seen(samples, queries):
    certainty = np.array(
        [
            [[0.9, 0.69, 1], [0.7, 0.9, 1]],  # one is unsure of an attribute
            [[np.nan, 0.8, 0.7], [0.8, 0.7, 0.1]],  # the first hides one
        ]
    )
    scores = score_prompts({**samples, "certainty": certainty}, queries)
    assert scores["blended"].tolist() == [0.5, 0.5]
    assert np.isnan(scores["detected"]).all()


def test_the_subject_is_counted_where_a_detector_looked_for_it(samples, queries):
    detected = np.array([[True, False], [True, True]])
    scores = score_prompts({**samples, "detected": detected}, queries)
    assert scores["detected"].tolist() == [0.5, 1]
    assert np.isnan(scores["blended"]).all()


def test_the_distance_is_that_of_the_latents_from_the_cloud(samples, queries):
    """Two latents for layers 0 and 1-2; a gaussian of std (1, 2) about (1, 0)."""
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
    scores = score_prompts({**samples, "w": w}, queries, gaussian, [1, 2])
    # Squared distances are means over two latents of two channels.
    expected = [np.sqrt((4 + 4) / 4) / 2, np.sqrt(4 / 4)]
    np.testing.assert_allclose(scores["w_distance"], expected, rtol=1e-6)
    assert np.isnan(
        score_prompts(samples, queries, gaussian, [1, 2])["w_distance"]
    ).all()


def test_scores_that_apply_to_no_prompt_are_left_out():
    scores = {
        "accuracy": np.array([[0.0, np.nan, 1.0], [1.0, np.nan, 1.0]]),
        "all_right": np.full((2, 3), np.nan),
    }
    found = applying_scores(scores, ["accuracy", "all_right", "clip_score"])
    assert list(found) == ["accuracy"]
    np.testing.assert_array_equal(found["accuracy"], scores["accuracy"])


def test_each_kept_sample_is_the_best_of_its_own_rounds():
    angles = np.array([[60, 10, 40, 80, 0, 20], [5, 5, 50, 0, 90, 1]])  # 2 prompts
    radians = np.deg2rad(angles)
    embedding = np.stack([np.cos(radians), np.sin(radians)], axis=-1)
    numbers = np.arange(12).reshape(2, 6)
    samples = {
        "image_embedding": embedding,
        "held_out_embedding": embedding * 2,
        "pixel_distance": np.abs(numbers[:, :, None] - numbers[:, None, :]),
        "seen": numbers[..., None],
    }
    queries = Queries(["a", "b"], torch.tensor([[1.0, 0], [1, 0]]), np.empty((2, 0)))
    # samples 0, 2, 4 are the rounds of kept sample 0; 1, 3, 5 those of kept sample 1
    best = choose_best(samples, queries, 3, 2)
    assert best["seen"][..., 0].tolist() == [[4, 1], [6, 9]]
    np.testing.assert_array_equal(
        best["held_out_embedding"], best["image_embedding"] * 2
    )
    assert best["pixel_distance"].tolist() == [[[0, 3], [3, 0]], [[0, 3], [3, 0]]]
    assert choose_best(samples, queries, 2, 2)["seen"][..., 0].tolist() == [
        [2, 1],
        [6, 9],
    ]
    first = choose_best(samples, queries, 1, 2)
    assert first["seen"][..., 0].tolist() == [[0, 1], [6, 7]]
