import numpy as np
import pytest
import torch

from clip2latent_kedro.evaluation import (
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
        text_mean=torch.zeros(2),
        stated=np.array([[1, 0, -1], [-1, -1, -1]]),
    )


@pytest.fixture
def drawn():
    return Drawn(
        images=np.array([0, 255, 255, 255], np.uint8)
        .reshape(2, 2, 1, 1, 1)
        .repeat(3, axis=4),
        image_embedding=np.array([[[3.0, 4], [4, 3]], [[0, 1], [0, 1]]]),
        seen=np.array([[[1, 1, 0], [1, 0, 2]], [[0, 0, 0], [1, 1, 1]]]),
        w=None,
    )


def test_scores_of_a_case_worked_by_hand(drawn, queries):
    scores = score_prompts(drawn, queries)
    assert list(scores) == list(SCORES)
    expected = {
        "clip_score": [0.7, 1],
        "clip_score_best": [0.8, 1],
        "accuracy": [0.75, np.nan],
        "accuracy_best": [1, np.nan],
        "all_right": [0.5, np.nan],
        "all_right_best": [1, np.nan],
        "clip_diversity": [1 - 0.96, 0],
        "pixel_diversity": [1, 0],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(scores[name], values, atol=1e-12, err_msg=name)
    assert best_samples(drawn, queries).tolist() == [1, 0]


def test_a_single_sample_and_no_judge_leave_scores_empty(drawn, queries):
    alone = Drawn(
        drawn.images[:, :1],
        drawn.image_embedding[:, :1],
        np.empty((2, 1, 0), dtype=np.int64),
        None,
    )
    unjudged = Queries(
        queries.texts,
        queries.embedding,
        queries.text_mean,
        np.empty((2, 0), dtype=np.int64),
    )
    scores = score_prompts(alone, unjudged)
    applying = {name for name in scores if not np.isnan(scores[name]).any()}
    assert applying == {"clip_score", "clip_score_best"}
    np.testing.assert_allclose(scores["clip_score"], [0.6, 1])


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
