import numpy as np

from clip2latent_kedro.study.words import VariantScores, describe_study


def tried(label, scores, line="", **changes):
    """Three prompts that agree: what a seed scores with one it scores with all."""
    by_prompt = np.repeat(np.array(scores)[:, None], 3, axis=1)
    return VariantScores(line, label, {"clip_score": by_prompt}, **changes)


def test_a_clear_winner_is_above_all_others():
    text = describe_study(
        [tried("psi 0.5", [0.1, 0.2, 0.3]), tried("psi 1", [0.6, 0.7, 0.81])], 0.95, 0
    )
    assert text == (
        "The CLIP score is highest at psi 1, 0.703 [0.442, 0.964], above all others. "
        "From psi 0.5 to psi 1, the CLIP score gains 0.503 [0.489, 0.518]. This rests "
        "on 2 comparisons; intervals allow for those of their own sentence."
    )


def test_a_lead_among_many_needs_more_than_a_lead_over_one():
    """0.5 +- 0.43 of one comparison; of four it takes +- 0.88."""
    best, worse = [1.0, 2.0, 3.0], [0.7, 1.5, 2.3]
    one = describe_study([tried("best", best), tried("worse", worse)], 0.95, 0)
    assert "above all others" in one
    far = [tried(f"far {number}", [-9.0, -8.0, -7.01]) for number in range(3)]
    many = describe_study([tried("best", best), tried("worse", worse), *far], 0.95, 0)
    assert "not to be told from it: worse." in many
    assert "This rests on 5 comparisons" in many  # four with the best, one of ends


def test_seeds_are_paired():
    """Means overlap by far, but each seed says the same: the second is better."""
    low, high = [0.0, 5.0, 9.0], [1.0, 6.001, 10.0]
    assert "above all others" in describe_study(
        [tried("a", low), tried("b", high)], 0.95, 0
    )
    mixed = [1.0, 4.5, 9.5]  # sometimes better, sometimes worse
    text = describe_study([tried("a", low), tried("b", mixed)], 0.95, 0)
    assert "at b, 5.000" in text
    assert "no other variant can be told from it" in text
    assert "From a to b, everything stays within the intervals." in text


def test_ties_are_named_but_not_all_of_a_long_list():
    best = [1.0, 2.0, 3.0]
    ties = [tried(f"v{number}", [1.1, 1.8, 2.9]) for number in range(6)]
    far = tried("far", [-9.0, -8.0, -7.01])
    text = describe_study([tried("best", best), *ties, far], 0.95, 2)
    assert "not to be told from it: v0; v1; v2; v3 and 2 more." in text
    assert "From best to far, the CLIP score loses 10.003 [9.989, 10.018]." in text
    assert text.endswith("2 variants could not be scored.")


def test_texts_and_images_are_ranked_apart():
    text = describe_study(
        [
            tried("s 0", [0.1, 0.2, 0.3], "text", condition="texts"),
            tried("s 1", [0.4, 0.5, 0.61], "text", condition="texts"),
            tried("s 0", [0.7, 0.8, 0.9], "image", condition="images"),
            tried("s 1", [0.9, 1.0, 1.11], "image", condition="images"),
        ],
        0.95,
        0,
    )
    assert "Given texts, the CLIP score is highest at s 1, 0.503" in text
    assert "Given images, the CLIP score is highest at s 1, 1.003" in text
    assert "image: from s 0 to s 1" in text


def test_prompts_decide_as_seeds_do():
    """Every seed finds the second better, by one prompt of four alone."""
    seeds, prompts = np.array([[0.1], [0.2], [0.3]]), np.array([[0.0, 0.0, 0.0, 2.0]])

    def vary(label, values):
        return VariantScores("", label, {"clip_score": values + seeds})

    text = describe_study([vary("a", 0 * prompts), vary("b", prompts)], 0.95, 0)
    assert "at b, 0.700" in text
    assert "no other variant can be told from it" in text
    text = describe_study([vary("a", 0 * prompts), vary("b", prompts + 1)], 0.95, 0)
    assert "above all others" not in text
    text = describe_study([vary("a", 0 * prompts), vary("b", prompts + 2)], 0.95, 0)
    assert "at b, 2.700" in text
    assert "above all others" in text


def test_a_score_that_applies_to_some_prompts_is_compared_by_those():
    scores = np.array([[0.1, np.nan, 0.3], [0.2, np.nan, 0.2]])
    one, other = (
        VariantScores("", label, {"accuracy": scores + more})
        for label, more in (("a", 0.0), ("b", 0.5))
    )
    text = describe_study([one, other], 0.95, 0)
    assert "at b, 0.700" in text
    assert "gains 0.500 [0.500, 0.500]" in text


def test_fewest_blends_are_best():
    scores = np.array([[0.1, 0.2], [0.2, 0.1]])
    one, other, tied = (
        VariantScores("", label, {"blended": scores + more})
        for label, more in (("a", 0.0), ("b", 0.5), ("c", scores[::-1] - scores))
    )
    text = describe_study([one, other], 0.95, 0)
    assert "The share of blends is lowest at a, 0.150" in text
    assert ", below all others." in text
    assert "gains 0.500" in text  # along the axis
    text = describe_study([one, other, tied], 0.95, 0)
    assert "; not to be told from it: c." in text


def test_nothing_to_compare():
    assert describe_study([], 0.95, 0) == "There are too few variants to compare."
    assert describe_study([tried("a", [1.0, 2.0])], 0.95, 1) == (
        "1 variant could not be scored."
    )
