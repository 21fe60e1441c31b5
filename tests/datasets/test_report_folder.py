"""A folder of texts and pictures as one versioned entry."""

import numpy as np
import pytest
from kedro.io import DatasetError, Version

from clip2latent_kedro.datasets import ReportFolderDataset

PICTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def open_version(tmp_path, name):
    version = Version(name, name)
    return ReportFolderDataset(filepath=str(tmp_path / "studies"), version=version)


def test_texts_and_pictures_come_back_by_version(tmp_path):
    first, second = open_version(tmp_path, "1"), open_version(tmp_path, "2")
    first.save({"a.md": "é", "a.png": PICTURE})
    second.save({"b.csv": "x,y\n"})
    loaded = first.load()
    assert loaded["a.md"] == "é"
    np.testing.assert_array_equal(loaded["a.png"], PICTURE)
    assert second.load() == {"b.csv": "x,y\n"}
    assert (tmp_path / "studies/1/studies/a.md").read_text("utf-8") == "é"
    newest = ReportFolderDataset(
        filepath=str(tmp_path / "studies"), version=Version(None, None)
    )
    assert list(newest.load()) == ["b.csv"]


def test_a_version_that_is_there_is_refused(tmp_path):
    open_version(tmp_path, "1").save({"a.md": "x"})
    with pytest.raises(DatasetError, match=r"already exists|must not exist"):
        open_version(tmp_path, "1").save({"a.md": "y"})


def test_without_versions_a_folder_is_replaced_as_a_whole(tmp_path):
    dataset = ReportFolderDataset(filepath=str(tmp_path / "studies"))
    assert not dataset.exists()
    dataset.save({"a.md": "x", "b.md": "y"})
    dataset.save({"a.md": "z"})
    assert dataset.load() == {"a.md": "z"}
    assert dataset.exists()
    assert "studies" in str(dataset)


def test_what_is_no_picture_leaves_the_old_folder(tmp_path):
    dataset = ReportFolderDataset(filepath=str(tmp_path / "studies"))
    dataset.save({"a.md": "x"})
    with pytest.raises(DatasetError, match="must be uint8"):
        dataset.save({"a.md": "y", "b.png": PICTURE.astype(float)})
    assert dataset.load() == {"a.md": "x"}
    dataset.save({"c.md": "w"})  # nothing of the failed save is left behind
    assert dataset.load() == {"c.md": "w"}


def test_what_a_killed_run_has_left_goes_with_the_next_version(tmp_path):
    folder = tmp_path / "studies"
    left = folder / "2020-01-01T00.00.00.000Z" / ".studies.partial"
    left.mkdir(parents=True)
    (left / "a.md").write_text("half")
    version = Version(None, "2021-01-01T00.00.00.000Z")
    ReportFolderDataset(filepath=str(folder), version=version).save({"a.md": "whole"})
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files == [folder / version.save / "studies" / "a.md"]
    assert not left.parent.exists()
