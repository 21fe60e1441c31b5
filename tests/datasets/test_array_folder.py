import numpy as np
import pytest
from kedro.io import DatasetError

from clip2latent_kedro.datasets import ArrayFolderDataset


def test_items_come_back_with_their_records(tmp_path):
    dataset = ArrayFolderDataset(filepath=str(tmp_path / "new" / "folder"))
    assert dataset.load() == {}
    assert not dataset.exists()
    arrays = {"images": np.arange(12, dtype=np.uint8).reshape(3, 4), "w": np.ones(2)}
    record = {"settings": {"eta": 0.5, "psi": None}, "prompts": [0, 2]}
    dataset.save({"first": (arrays, record)})
    dataset.save({"second.b": ({"w": np.zeros(1)}, {})})
    assert dataset.exists()
    found = dataset.load()
    assert list(found) == ["first", "second.b"]
    assert found["first"][1] == record
    read = found["first"][0]
    assert list(read) == ["images", "w"]
    assert len(read) == 2
    assert read.get("record_of_no_one") is None
    assert read["images"].dtype == np.uint8
    np.testing.assert_array_equal(read["images"], arrays["images"])


def test_an_item_is_replaced_and_nothing_half_written_is_seen(tmp_path):
    dataset = ArrayFolderDataset(filepath=str(tmp_path))
    dataset.save({"row": ({"w": np.zeros(1)}, {"step": 1})})
    before = dataset.load()["row"][0]
    dataset.save({"row": ({"w": np.ones(1)}, {"step": 2})})
    assert dataset.load()["row"][1] == {"step": 2}
    assert before["w"] == 1  # read when it is asked for
    (tmp_path / ".other.partial").write_bytes(b"half")
    assert list(dataset.load()) == ["row"]


def test_objects_are_not_pickled(tmp_path):
    dataset = ArrayFolderDataset(filepath=str(tmp_path))
    with pytest.raises(Exception, match="allow_pickle"):
        dataset.save({"row": ({"w": np.array([{}], dtype=object)}, {})})
    assert dataset.load() == {}


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 half of it"])
def test_another_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "row.npz").write_bytes(content)
    with pytest.raises(DatasetError, match=r"row.npz must be arrays with a record.*"):
        ArrayFolderDataset(filepath=str(tmp_path)).load()


def test_arrays_without_a_record_are_refused(tmp_path):
    np.savez(tmp_path / "row.npz", w=np.ones(1))
    with pytest.raises(DatasetError, match="Remove it"):
        ArrayFolderDataset(filepath=str(tmp_path)).load()


def test_it_says_where_it_is():
    assert "some/folder" in str(ArrayFolderDataset(filepath="some/folder"))
