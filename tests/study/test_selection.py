"""The rule, on cases where it is known who wins."""

import numpy as np
import pytest

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.study.selection import Tolerances, choose_variant

NAMES = ("accuracy", "blended", "clip_diversity")
RNG = np.random.default_rng(0)
SHARED = RNG.normal(size=60)  # prompts differ much more than variants do


def variant(*means, spread=0.0):
    """Scores of 60 prompts: the exact mean, what all share, and some of its own."""
    own = RNG.normal(size=60)
    return {
        name: mean + SHARED - SHARED.mean() + spread * (own - own.mean())
        for name, mean in zip(NAMES, means, strict=True)
    }


def choose(scores, accuracy=0.05, blended=0.05):
    return choose_variant(
        scores,
        tolerances=Tolerances(accuracy=accuracy, blended=blended, clip_score=0.05),
        confidence=0.95,
    )


def ahead(lead):
    """60 prompts around a mean lead, of which the standard error is 1."""
    own = np.repeat([-1.0, 1.0], 30)
    return lead + own * (59 / 60 * 60) ** 0.5


def test_what_loses_too_many_attributes_is_dropped_however_diverse_it_is():
    choice = choose({"a": variant(0.5, 0.0, 9), "b": variant(0.6, 0.9, 1)})
    assert choice.best == "b"
    assert choice.contenders["accuracy"] == ["b"]


def test_of_those_that_lose_little_the_most_diverse_is_the_best():
    scores = {
        "worse": variant(0.60, 0.1, 9),
        "blends": variant(0.70, 0.3, 8),
        "dull": variant(0.70, 0.1, 1),
        "lively": variant(0.66, 0.14, 2),
    }
    choice = choose(scores)
    assert choice.best == "lively"
    assert choice.contenders == {
        "accuracy": ["blends", "dull", "lively"],
        "blended": ["dull", "lively"],
    }
    assert choose(scores, accuracy=0.03).best == "dull"
    assert choose(scores, blended=0.03).best == "dull"
    assert choose(scores, blended=0.25).best == "blends"


def test_a_loss_that_may_be_large_is_not_shown_to_be_small():
    """Equal means, but a spread that hides a loss; pairing alone shows none."""
    sure, hidden = variant(0.7, 0.1, 1), variant(0.7, 0.1, 2, spread=1)
    assert choose({"sure": sure, "hidden": hidden}).best == "sure"
    assert choose({"sure": sure, "told": variant(0.7, 0.1, 2)}).best == "told"


def test_without_a_judge_the_clip_score_is_in_its_place():
    def unjudged(clip_score, diversity):
        nothing = {name: np.full(60, np.nan) for name in NAMES[:2]}
        rest = {"clip_score": clip_score + SHARED, "clip_diversity": diversity + SHARED}
        return nothing | rest

    scores = {"a": unjudged(0.3, 9), "b": unjudged(0.4, 1), "c": unjudged(0.36, 2)}
    choice = choose(scores)
    assert choice.best == "c"
    assert choice.contenders == {"clip_score": ["b", "c"]}


def test_a_judge_that_is_never_unsure_leaves_blends_out():
    scores = {"a": variant(0.7, 0, 1), "b": variant(0.7, 0, 2)}
    for found in scores.values():
        del found["blended"]
    choice = choose(scores)
    assert choice.best == "b"
    assert list(choice.contenders) == ["accuracy"]


def test_of_methods_with_one_answer_that_of_fewest_blends_is_the_best():
    scores = {"a": variant(0.70, 0.14, 0), "b": variant(0.69, 0.1, 0)}
    for found in scores.values():
        found["clip_diversity"] = np.full(60, np.nan)
    assert choose(scores).best == "b"
    for found in scores.values():
        del found["blended"]
    assert choose(scores).best == "a"


def test_prompts_to_which_accuracy_does_not_apply_are_left_out():
    scores = {"a": variant(0.5, 0, 9), "b": variant(0.6, 0, 1)}
    for part in scores.values():
        part["accuracy"][::3] = np.nan
    assert choose(scores).best == "b"


def test_a_search_without_results_is_refused():
    with pytest.raises(InputError, match="have a variant that could be scored, got no"):
        choose({})


def test_many_variants_need_more_to_be_shown_to_be_as_good_as_the_first():
    """t(0.975, 59) is 2.00; one of two comparisons takes 2.30, one of 40 takes 3.43."""

    def contenders(tolerance, num_others):
        nothing = {name: np.zeros(60) for name in NAMES}
        scores = {"first": {**nothing, "accuracy": ahead(0.5)}}
        scores |= {f"other {number}": nothing for number in range(num_others)}
        choice = choose(scores, accuracy=tolerance)
        assert choice.num_comparisons == 2 * num_others
        return choice.contenders["accuracy"]

    assert len(contenders(2.85, 1)) == 2
    assert contenders(2.75, 1) == ["first"]
    assert len(contenders(3.98, 20)) == 21
    assert contenders(3.88, 20) == ["first"]


def test_a_few_prompts_leave_the_first_alone():
    few = {name: np.zeros(3) for name in NAMES}
    lucky = {**few, "accuracy": np.ones(3)}
    choice = choose(
        {"lucky": lucky, "lively": {**few, "clip_diversity": np.ones(3)}}, accuracy=2.0
    )
    assert choice.best == "lucky"


def test_one_that_loses_more_than_the_tolerance_is_rarely_left():
    """20 variants that lose more in truth: the 5 % are of the whole choice."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(200):
        scores = {str(n): {m: rng.normal(size=60) for m in NAMES} for n in range(20)}
        for found in scores.values():
            found["accuracy"] -= 0.06
        scores["best"] = {m: rng.normal(size=60) / 1e3 for m in NAMES}
        best = choose(scores).best
        wrong += best != "best" and scores[best]["accuracy"].mean() < -0.05
    assert wrong / 200 <= 0.05
