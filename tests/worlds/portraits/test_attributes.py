import pytest
import torch

from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTE_NAMES,
    ATTRIBUTES,
    Z_DIM,
    _simplex,
    labels_of,
    sample_z,
    soft_attributes,
    visible_mask,
)


def _labels(**values: str) -> torch.Tensor:
    chosen = {name: options[0] for name, options in ATTRIBUTES.items()} | values
    return torch.tensor([[ATTRIBUTES[n].index(chosen[n]) for n in ATTRIBUTE_NAMES]])


def _is_visible(name: str, **values: str) -> bool:
    return bool(visible_mask(_labels(**values))[0, ATTRIBUTE_NAMES.index(name)])


@pytest.mark.parametrize("num", [2, 3, 7])
def test_simplex_corners_are_unit_and_equally_far_apart(num):
    corners = _simplex(num)
    expected = torch.full((num, num), -1 / (num - 1), dtype=torch.float64)
    torch.testing.assert_close(corners @ corners.T, expected.fill_diagonal_(1))


def test_every_value_is_drawn():
    labels = labels_of(sample_z(20_000, torch.Generator().manual_seed(0)))
    for column, values in enumerate(ATTRIBUTES.values()):
        assert set(labels[:, column].tolist()) == set(range(len(values)))


def test_attributes_are_a_function_of_the_direction_of_z_alone():
    z = sample_z(64, torch.Generator().manual_seed(0))
    torch.testing.assert_close(labels_of(z), labels_of(3 * z))


def test_weights_sum_to_one_and_women_have_no_beard():
    attributes = soft_attributes(sample_z(512, torch.Generator().manual_seed(0)))
    for weights in attributes.weights.values():
        torch.testing.assert_close(weights.sum(1), torch.ones(512))
    is_woman = attributes.weights["gender"][:, 0] > 0.999
    assert attributes.weights["beard"][is_woman, 1:].max() < 2e-3


def test_few_portraits_are_between_two_values():
    attributes = soft_attributes(sample_z(4096, torch.Generator().manual_seed(0)))
    surest = torch.stack([w.amax(1) for w in attributes.weights.values()], dim=1)
    assert (surest.amin(1) < 0.9).float().mean() < 0.15


def test_hidden_attributes_are_known():
    assert not _is_visible("eye_colour", eyewear="sunglasses")
    assert _is_visible("eye_colour", eyewear="glasses")
    assert not _is_visible("hair_colour", hair_style="bald")
    assert _is_visible("hair_colour", hair_style="bald", gender="man", beard="beard")


def test_z_has_a_coordinate_for_every_decision():
    assert sum(len(values) - 1 for values in ATTRIBUTES.values()) + 4 == Z_DIM
