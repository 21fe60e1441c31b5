import random
from collections import Counter

import pytest

from clip2latent_kedro.worlds.grammar import Sentence, draw_attributes, list_fragments


def test_attributes_are_drawn_in_proportion_to_their_weights():
    """The first of a weighted draw without replacement: P(name) = weight / total."""
    rng = random.Random(0)
    weights = {"a": 1.0, "b": 3.0}
    counts = Counter(next(iter(draw_attributes(weights, 1, rng))) for _ in range(4000))
    # Five standard deviations of a binomial with p = 3/4.
    assert counts["b"] / 4000 == pytest.approx(0.75, abs=5 * (0.1875 / 4000) ** 0.5)
    assert draw_attributes(weights, 5, rng) == {"a", "b"}


def test_a_layout_that_is_asked_for_leads_with_the_place():
    sentence = Sentence({"gender": "man", "age": "old"}, {"age"}, random.Random(0))
    sentence.add({"place": ("in the dark",)})
    sentence.add({"feature": ("a smile",)})
    text = sentence.compose("held_out", layout="lead")
    assert text.startswith("in the dark, ")
    assert text.endswith("with a smile")
    assert "man" not in text  # the gender is not among what is stated


def test_a_held_out_text_needs_what_tells_its_order_apart():
    sentence = Sentence({}, set(), random.Random(0))
    sentence.add({"feature": ("a smile",)})
    assert sentence.compose("held_out", layout="clauses") is None


def test_fragments_hold_every_phrase():
    phrases = {"light": {"dim": {"place": ("in the dark", "in shadow")}}}
    fragments = list(list_fragments(phrases))
    assert {"in the dark", "in shadow", "a photo of", "she"} <= set(fragments)
