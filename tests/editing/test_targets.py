"""Targets of edits as the parameters name them."""

import pytest

from clip2latent_kedro.editing.edit import read_targets, require_targets
from clip2latent_kedro.errors import InputError

TEXTS = {"target": "a smiling person", "neutral": "a person"}


@pytest.mark.parametrize("name", ["smile", "hair_colour", "größer", "v1.2", "a" * 100])
def test_names_of_files_are_names_of_targets(name):
    assert read_targets({name: TEXTS})[name].name == name


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "", "a b", "a" * 101, 1])
def test_other_names_are_refused(name):
    with pytest.raises(InputError, match="since files are called so, got"):
        read_targets({name: TEXTS})


def test_there_must_be_one_where_they_are_worked_on():
    assert read_targets({}) == {}
    with pytest.raises(InputError, match="one target or more, got none"):
        require_targets({})


def test_a_target_that_is_null_is_left_out():
    assert list(read_targets({"smile": TEXTS, "hat": None})) == ["smile"]
    with pytest.raises(InputError, match="one target or more"):
        require_targets({"hat": None})
