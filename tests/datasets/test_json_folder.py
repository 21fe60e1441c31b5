"""A folder of JSON documents: filled bit by bit, whole at every moment."""

import pytest
from kedro.io import DatasetError

from clip2latent_kedro.datasets import JsonFolderDataset


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "folder"


def test_documents_are_added_and_replaced(path):
    dataset = JsonFolderDataset(filepath=str(path))
    assert not dataset.exists()
    assert dataset.load() == {}
    dataset.save({})
    assert dataset.exists()
    dataset.save({"b": {"x": [1.5, None]}, "a": "é"})
    dataset.save({"b": 2})
    again = JsonFolderDataset(filepath=str(path))
    assert again.load() == {"a": "é", "b": 2}
    assert list(again.load()) == ["a", "b"]
    assert "folder" in str(again)


def test_a_failed_save_leaves_the_old_document(path):
    dataset = JsonFolderDataset(filepath=str(path))
    dataset.save({"a": 1})
    for wrong in (float("nan"), object()):
        with pytest.raises(DatasetError):
            dataset.save({"a": wrong})
    (path / ".a.partial").write_text('{"x":')  # as a killed run leaves it
    assert dataset.load() == {"a": 1}


def test_a_damaged_document_is_named(path):
    dataset = JsonFolderDataset(filepath=str(path))
    dataset.save({"a": 1})
    (path / "a.json").write_text('{"x":')
    with pytest.raises(DatasetError, match=r"a.json must be a JSON file.*Remove it"):
        dataset.load()
