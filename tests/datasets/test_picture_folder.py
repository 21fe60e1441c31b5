import numpy as np
import pytest
from kedro.io import DatasetError
from PIL import Image

from clip2latent_kedro.datasets import PictureFolderDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.inference import LabelledPicture

LABELS = {"prompt": "Ein Bär, 10 % größer\nzweite Zeile", "seed": "0"}


@pytest.fixture
def folder(tmp_path):
    return PictureFolderDataset(filepath=str(tmp_path / "new" / "pictures"))


def picture(value, **labels):
    return LabelledPicture(np.full((4, 5, 3), value, np.uint8), {**LABELS, **labels})


def test_an_absent_folder_is_empty(folder):
    assert not folder.exists()
    assert folder.load() == {}


def test_round_trip_and_adding(folder):
    folder.save({"a": picture(10), "b": picture(20)})
    folder.save({"c": picture(30), "a": picture(11, score="0.5")})
    loaded = folder.load()
    assert list(loaded) == ["a", "b", "c"]
    assert np.array_equal(loaded["a"]().image_u8, picture(11).image_u8)
    assert loaded["a"]().labels == {**LABELS, "score": "0.5"}
    assert loaded["b"]().labels == LABELS
    assert folder.exists()


def test_other_programs_can_read_the_labels(folder):
    folder.save({"a": picture(10)})
    with Image.open(folder._describe()["filepath"] + "/a.png") as image:
        assert image.text["prompt"] == LABELS["prompt"]


def test_nothing_unfinished_is_left(folder, tmp_path):
    folder.save({"a": picture(10)})
    with pytest.raises(DatasetError, match="Cannot handle this data type"):
        folder.save({"a": LabelledPicture(np.zeros((4, 5, 7, 3), np.uint8), {})})
    assert list(folder.load()) == ["a"]
    assert folder.load()["a"]().labels == LABELS


def test_a_damaged_picture_is_named(folder, tmp_path):
    folder.save({"a": picture(10)})
    path = tmp_path / "new" / "pictures" / "a.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=r"a\.png must be a PNG picture, but cannot"):
        folder.load()["a"]()
