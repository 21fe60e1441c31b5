import pytest

from clip2latent_kedro.demo.limits import Limits
from clip2latent_kedro.demo.prompts import parse_prompt
from clip2latent_kedro.errors import InputError


def parse(text, **limits):
    return parse_prompt(text, Limits(**limits), "The prompt")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a man", [("a man", 1.0)]),
        ("", []),
        ("  \n ", []),
        ("a man | glasses: -0.5", [("a man", 1.0), ("glasses", -0.5)]),
        ("a man|glasses:-0.5", [("a man", 1.0), ("glasses", -0.5)]),
        ("a: 2 | b :+.5|c: 1.", [("a", 2.0), ("b", 0.5), ("c", 1.0)]),
        ("at 10:30", [("at 10:30", 1.0)]),
        ("a man: smiling", [("a man: smiling", 1.0)]),
        ("title: a man: 2", [("title: a man", 2.0)]),
        ("a, 'b' \"c\" #1 <b>", [("a, 'b' \"c\" #1 <b>", 1.0)]),
        ("a: 1e5", [("a: 1e5", 1.0)]),
        ("a man: 0 | b", [("a man", 0.0), ("b", 1.0)]),
    ],
)
def test_parts_and_weights(text, parts):
    assert parse(text) == parts


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a |", "a text in each part"),
        ("| a", "a text in each part"),
        (": 3", "a text in each part"),
        ("a: 11", "weights from -10 to 10"),
        ("a: -0", "weight is not 0"),
        ("a: " + "9" * 200, "weights from -10 to 10"),
        ("x" * 301, "at most 300 characters"),
        ("a|" * 8 + "a", "at most 8 parts"),
        ("a \ud800", "half of a character"),
    ],
)
def test_what_cannot_be_read_is_told(text, reason):
    with pytest.raises(InputError, match=reason):
        parse(text)


def test_a_long_text_of_colons_is_read_at_once():
    """The pattern must not try every colon with every space."""
    text = ": " * 2499
    limits = Limits(text=5000)
    assert parse_prompt(text + "x", limits, "The prompt") == [
        ((text + "x").strip(), 1.0)
    ]
