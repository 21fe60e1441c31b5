"""Rows of w by level."""

from itertools import chain
from types import SimpleNamespace

import pytest

from clip2latent_kedro.editing.levels import (
    levels_of,
    split_in_thirds,
    split_levels,
)
from clip2latent_kedro.interfaces import Identity


def rows(levels, num_ws):
    return [list(range(num_ws))[level] for level in levels]


@pytest.mark.parametrize(
    ("num_ws", "expected"),
    [(18, (4, 4, 10)), (10, (4, 4, 2)), (8, (4, 4, 0)), (6, (4, 2, 0)), (2, (2, 0, 0))],
)
def test_levels_of_stylegan2_end_at_8_and_32_pixels(num_ws, expected):
    split = rows(split_levels(num_ws), num_ws)
    assert tuple(map(len, split)) == expected
    assert [*chain.from_iterable(split)] == list(range(num_ws))


@pytest.mark.parametrize(("num_ws", "expected"), [(16, (5, 6, 5)), (3, (1, 1, 1))])
def test_thirds_cover_every_row_once(num_ws, expected):
    split = rows(split_in_thirds(num_ws), num_ws)
    assert tuple(map(len, split)) == expected
    assert [*chain.from_iterable(split)] == list(range(num_ws))


@pytest.mark.parametrize("name", ["stylegan3", "stylegan3/class-2"])
def test_a_stylegan3_is_known_by_its_identity(name):
    generator = SimpleNamespace(num_ws=16, identity=Identity(name, "0"))
    assert levels_of(generator) == split_in_thirds(16)


def test_other_generators_have_the_levels_of_stylegan2():
    generator = SimpleNamespace(num_ws=16, identity=Identity("stylegan2", "0"))
    assert levels_of(generator) == split_levels(16)
