"""The rule, on cases where it is known who wins."""

import numpy as np
import pytest

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.evaluation.selection import choose_best

NAMES = ("accuracy", "clip_score", "clip_diversity")
RNG = np.random.default_rng(0)
SHARED = RNG.normal(size=60)  # prompts differ much more than variants do


def variant(*means, spread=0.0):
    """Scores of 60 prompts: the exact mean, what all share, and some of its own."""
    own = RNG.normal(size=60)
    return {
        name: mean + SHARED + spread * (own - own.mean())
        for name, mean in zip(NAMES, means, strict=True)
    }


def choose(scores, clip_tolerance=0.0):
    return choose_best(
        scores,
        clip_tolerance=clip_tolerance,
        num_resamples=500,
        confidence=0.95,
        seed=0,
    )


def test_the_most_accurate_wins_if_it_can_be_told_from_the_others():
    choice = choose({"a": variant(0.5, 9, 9), "b": variant(0.6, 1, 1)})
    assert choice.best == "b"
    assert choice.contenders["accuracy"] == ["b"]


def test_among_equals_the_clip_score_decides_and_then_the_diversity():
    scores = {
        "worse": variant(0.5, 9, 9),
        "low": variant(0.7, 0.2, 9),
        "dull": variant(0.7, 0.4, 1),
        "best": variant(0.7, 0.4, 2),
    }
    choice = choose(scores)
    assert choice.best == "best"
    assert choice.contenders == {
        "accuracy": ["low", "dull", "best"],
        "clip_score": ["dull", "best"],
    }


def test_clip_score_is_given_up_for_diversity_within_the_tolerance():
    scores = {"sharp": variant(0.7, 0.4, 1), "lively": variant(0.7, 0.35, 2)}
    assert choose(scores, clip_tolerance=0.04).best == "sharp"
    assert choose(scores, clip_tolerance=0.06).best == "lively"


def test_a_lead_within_the_noise_of_the_prompts_is_none():
    """A tiny lead with a spread that hides it; pairing alone would show it."""
    scores = {"lucky": variant(0.71, 0, 0, spread=1), "safe": variant(0.7, 5, 0)}
    assert choose(scores).best == "safe"
    assert choose({"lucky": variant(0.71, 0, 0), "safe": variant(0.7, 5, 0)}).best == (
        "lucky"
    )


def test_a_score_that_does_not_apply_is_passed_over():
    unjudged = {"accuracy": np.full(60, np.nan)}
    scores = {
        "a": variant(0, 0.3, 9) | unjudged,
        "b": variant(0, 0.4, 1) | unjudged,
    }
    choice = choose(scores)
    assert choice.best == "b"
    assert "accuracy" not in choice.contenders


def test_prompts_to_which_accuracy_does_not_apply_are_left_out():
    scores = {"a": variant(0.5, 9, 9), "b": variant(0.6, 1, 1)}
    for part in scores.values():
        part["accuracy"][::3] = np.nan
    assert choose(scores).best == "b"


def test_a_sweep_without_results_is_refused():
    with pytest.raises(InputError, match="no variant that could be scored"):
        choose({})
