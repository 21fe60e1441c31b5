"""Texts of edits in CLIP's space."""

import pytest
import torch
from world import ColourEncoder

from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.editing.texts import (
    embed_templates,
    read_templates,
    text_direction,
)
from clip2latent_kedro.errors import InputError


def test_a_text_is_the_unit_mean_of_unit_embeddings():
    """In the templates "{} 0 0" and "0 {} 0" the number 2 is (2,0,0) and (0,2,0)."""
    embedding = embed_templates(ColourEncoder(), "2", ["{} 0 0", "0 {} 0", "0 {} 9"])
    first, second = torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0])
    third = torch.tensor([0.0, 2, 9]) / 85**0.5
    expected = first + second + third
    torch.testing.assert_close(embedding, expected / expected.norm())


def test_a_direction_is_the_unit_difference_of_unit_embeddings():
    target = EditTarget(target="3 0 0", neutral="0 5 0")
    expected = torch.tensor([1.0, -1, 0]) / 2**0.5
    torch.testing.assert_close(text_direction(ColourEncoder(), target), expected)


def test_texts_that_do_not_differ_are_refused():
    target = EditTarget(target="3 0 0", neutral="5 0 0")
    with pytest.raises(InputError, match=r"must differ for the encoder, got '3 0 0'"):
        text_direction(ColourEncoder(), target)


def test_imagenet_has_the_templates_of_styleclip():
    templates = read_templates("imagenet")
    assert len(templates) == 79
    assert templates[0] == "a bad photo of a {}."
    assert "a photo of many {}." not in templates


@pytest.mark.parametrize(
    ("templates", "match"),
    [
        (["a photo"], r"must have \{\} where the text is put in, got 'a photo'"),
        ([], r"one sentence or more, got \[\]"),
        ("a photo of {}", r"must be imagenet or a list"),
    ],
)
def test_templates_without_a_place_are_refused(templates, match):
    with pytest.raises(InputError, match=match):
        embed_templates(ColourEncoder(), "1 0 0", templates)
