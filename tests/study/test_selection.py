"""The rule, on cases where it is known who wins."""

import numpy as np
import pytest

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.study.selection import choose_variant

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
    return choose_variant(
        scores,
        clip_tolerance=clip_tolerance,
        confidence=0.95,
    )


def ahead(lead):
    """60 prompts around a mean lead, of which the standard error is 1."""
    own = np.repeat([-1.0, 1.0], 30)
    return lead + own * (59 / 60 * 60) ** 0.5


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


def test_many_variants_need_more_to_be_told_from_the_first():
    """t(0.975, 59) is 2.00; one of two comparisons takes 2.30, one of 40 takes 3.43."""

    def contenders(lead, num_others):
        nothing = {name: np.zeros(60) for name in NAMES}
        scores = {"first": {**nothing, "accuracy": ahead(lead)}}
        scores |= {f"other {number}": nothing for number in range(num_others)}
        choice = choose(scores)
        assert choice.num_comparisons == 2 * num_others
        return choice.contenders["accuracy"]

    assert len(contenders(2.25, 1)) == 2
    assert contenders(2.35, 1) == ["first"]
    assert len(contenders(3.38, 20)) == 21
    assert contenders(3.48, 20) == ["first"]


def test_a_few_prompts_that_agree_tell_nothing():
    few = {name: np.zeros(3) for name in NAMES}
    lucky = {**few, "accuracy": np.ones(3)}
    choice = choose({"lucky": lucky, "lively": {**few, "clip_diversity": np.ones(3)}})
    assert choice.best == "lively"
    assert choice.contenders["accuracy"] == ["lucky", "lively"]


def test_the_first_of_many_equals_is_rarely_alone():
    """20 variants that are the same but for noise: the 5 % are of the whole choice."""
    rng = np.random.default_rng(1)
    dropped = 0
    for _ in range(200):
        truly_best = {name: rng.normal(size=60) for name in NAMES}
        scores = {"best": truly_best}
        scores |= {str(n): {m: rng.normal(size=60) for m in NAMES} for n in range(20)}
        dropped += "best" not in choose(scores).contenders["clip_score"]
    assert dropped / 200 <= 0.05
