"""Folders with a file for each item: filled bit by bit, whole at every moment."""

import base64
import os
from functools import partial

import numpy as np
import pytest
from kedro.io import DatasetError
from PIL import Image

from clip2latent_kedro.datasets import (
    ArrayFolderDataset,
    JsonFolderDataset,
    PictureFolderDataset,
    ValidationPicturesDataset,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.inference import LabelledPicture
from clip2latent_kedro.study.validation import ValidationPictures

LABELS = {"prompt": "Ein Bär, 10 % größer\nzweite Zeile", "seed": "0"}


def level(value):
    return np.full((4, 5, 3), value, np.uint8)


def arrays(value):
    images = np.full((3, 4), value, np.uint8)
    return {"images": images, "w": np.ones(2)}, {"psi": None, "prompts": [0, value]}


def picture(value):
    return LabelledPicture(level(value), {**LABELS, "score": str(value)})


def plain(item):
    """Return what is read of an item as lists and mappings, which can be compared."""
    item = item() if callable(item) else item
    if isinstance(item, LabelledPicture):
        return item.image_u8.tolist(), item.labels
    if isinstance(item, tuple):
        return {name: (str(a.dtype), a.tolist()) for name, a in item[0].items()}, item[
            1
        ]
    return item


# A dataset, its items by a number, and what it cannot store of another.
KINDS = {
    "json": (JsonFolderDataset, lambda value: {"é": [value, None]}, float("nan")),
    "npz": (ArrayFolderDataset, arrays, ({"w": np.array([{}], dtype=object)}, {})),
    "png": (
        PictureFolderDataset,
        picture,
        LabelledPicture(np.zeros((4, 5, 7, 3), np.uint8), {}),
    ),
}


@pytest.fixture(params=KINDS)
def case(request, tmp_path):
    kind, make, wrong = KINDS[request.param]
    folder = tmp_path / "new" / "folder"
    return partial(kind, filepath=str(folder)), make, wrong, folder, request.param


def test_items_are_added_and_replaced(case):
    open_folder, make, _, folder, suffix = case
    dataset = open_folder()
    assert not dataset.exists()
    assert dataset.load() == {}
    dataset.save({})
    assert dataset.exists()
    dataset.save({"b.c": make(1), "a": make(2)})
    dataset.save({"b.c": make(3), "d": make(4)})
    loaded = open_folder().load()
    assert list(loaded) == ["a", "b.c", "d"]
    expected = {"a": make(2), "b.c": make(3), "d": make(4)}
    assert {name: plain(loaded[name]) for name in loaded} == {
        name: plain(expected[name]) for name in expected
    }
    names = [path.name for path in sorted(folder.iterdir())]
    assert names == [f"a.{suffix}", f"b.c.{suffix}", f"d.{suffix}"]
    assert open_folder()._describe() == {"filepath": str(folder)}


def test_a_failed_save_leaves_the_old_item(case):
    open_folder, make, wrong, folder, suffix = case
    dataset = open_folder()
    dataset.save({"a": make(1)})
    with pytest.raises(DatasetError, match=r"JSON|pickle|Cannot handle"):
        dataset.save({"a": wrong})
    left = folder / f".b.{suffix}.partial"
    left.write_bytes(b"half")  # as a killed run leaves it
    os.utime(left, (0, 0))  # long ago
    assert list(dataset.load()) == ["a"]
    assert plain(dataset.load()["a"]) == plain(make(1))
    dataset.save({"b": make(2)})
    assert not left.exists()


def test_what_another_run_is_writing_stays(case):
    open_folder, make, _, folder, suffix = case
    folder.mkdir(parents=True)
    theirs = [folder / f".{name}.{suffix}.1.partial" for name in "ab"]
    for path in theirs:
        path.write_bytes(b"half")
    open_folder().save({"a": make(1)})
    assert [path.read_bytes() for path in theirs] == [b"half", b"half"]
    assert list(open_folder().load()) == ["a"]


@pytest.mark.parametrize("length", [0, 12, 60])
def test_a_damaged_file_is_named(case, length):
    open_folder, make, _, folder, suffix = case
    dataset = open_folder()
    dataset.save({"a": make(1)})
    path = folder / f"a.{suffix}"
    path.write_bytes(path.read_bytes()[:length] if suffix != "json" else b'{"x":')
    with pytest.raises((DatasetError, InputError), match=rf"a\.{suffix} must.*Remove"):
        plain(dataset.load()["a"])


def test_arrays_are_read_when_they_are_asked_for(tmp_path):
    dataset = ArrayFolderDataset(filepath=str(tmp_path))
    dataset.save({"row": arrays(1)})
    read = dataset.load()["row"][0]
    assert list(read) == ["images", "w"]
    assert len(read) == 2
    assert read.get("record") is not None  # beside the arrays, but none of them
    assert read.get("none") is None
    dataset.save({"row": arrays(2)})
    assert (read["images"] == 2).all()


def test_arrays_without_a_record_are_refused(tmp_path):
    np.savez(tmp_path / "row.npz", w=np.ones(1))
    with pytest.raises(DatasetError, match="Remove it"):
        ArrayFolderDataset(filepath=str(tmp_path)).load()


def test_other_programs_can_read_the_labels(tmp_path):
    PictureFolderDataset(filepath=str(tmp_path)).save({"a": picture(10)})
    with Image.open(tmp_path / "a.png") as image:
        assert image.text["prompt"] == LABELS["prompt"]


def test_validation_pictures_are_those_of_one_run(tmp_path):
    folder = tmp_path / "pictures"
    dataset = ValidationPicturesDataset(filepath=str(folder))

    def levels():
        return {step: int(read()[0, 0, 0]) for step, read in dataset.load().items()}

    with pytest.raises(DatasetError, match="no pictures in"):
        dataset.preview()
    assert not dataset.exists()
    steps = [20, 10_000_000]
    dataset.save(ValidationPictures(steps, {20: level(2), 10_000_000: level(10)}))
    assert levels() == {20: 2, 10_000_000: 10}
    stored = (folder / "10000000.png").read_bytes()
    assert base64.b64decode(dataset.preview()) == stored
    (folder / "notes.txt").write_text("mine")
    dataset.save(ValidationPictures([20, 100, 200], {20: level(9), 100: level(7)}))
    assert levels() == {20: 9, 100: 7}
    names = [path.name for path in sorted(folder.iterdir())]
    assert names == ["0000020.png", "0000100.png", "notes.txt"]
    dataset.save(ValidationPictures([]))  # a fresh run, before its first validation
    assert dataset.exists()
    assert levels() == {}
    assert (folder / "notes.txt").exists()
