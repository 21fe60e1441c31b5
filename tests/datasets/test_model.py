"""Models are loaded by role and kind, and never saved."""

import importlib.metadata

import pytest
from kedro.io import DatasetError

from clip2latent_kedro import registry
from clip2latent_kedro.datasets import ModelDataset
from clip2latent_kedro.errors import InputError

ROLES = ("generator", "encoder", "judge")


def load_own(path, options):
    """Stand for the loader of a user's own package."""
    return path, options


@pytest.fixture
def own_kind(monkeypatch):
    def find(group):
        return [importlib.metadata.EntryPoint("own", f"{__name__}:load_own", group)]

    monkeypatch.setattr(registry, "entry_points", find)


@pytest.mark.usefixtures("own_kind")
@pytest.mark.parametrize("role", ROLES)
def test_path_and_options_reach_the_loader_of_a_users_package(role, tmp_path):
    path = tmp_path / "weights"
    dataset = ModelDataset(role=role, kind="own", filepath=str(path), options={"a": 1})
    assert dataset.load() == (path, {"a": 1})


@pytest.mark.parametrize("role", ROLES)
def test_unknown_kind_is_refused_with_those_known(role):
    with pytest.raises(DatasetError, match=r"kind must be one of \w+.*got 'nothing'"):
        ModelDataset(role=role, kind="nothing").load()


def test_unknown_role_is_refused():
    with pytest.raises(InputError, match="role must be one of generator, encoder"):
        ModelDataset(role="writer", kind="own")


def test_missing_file(tmp_path):
    dataset = ModelDataset(
        role="judge", kind="portraits_judge", filepath=str(tmp_path / "no.safetensors")
    )
    assert not dataset.exists()
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, InputError)


def test_it_is_read_only():
    dataset = ModelDataset(role="generator", kind="own")
    assert dataset.exists()
    with pytest.raises(DatasetError, match="generator is read-only"):
        dataset.save("anything")


def test_describe():
    dataset = ModelDataset(role="encoder", kind="own", options={"a": 1})
    expected = {"role": "encoder", "kind": "own", "filepath": None, "options": {"a": 1}}
    assert dataset._describe() == expected
