"""A folder holds the pictures of one run."""

import base64

import numpy as np
import pytest
from kedro.io import DatasetError

from clip2latent_kedro.datasets import ValidationPicturesDataset
from clip2latent_kedro.study.validation import ValidationPictures


def picture(level):
    return np.full((2, 3, 3), level, np.uint8)


@pytest.fixture
def dataset(tmp_path):
    return ValidationPicturesDataset(filepath=str(tmp_path / "pictures"))


def levels(dataset):
    return {step: int(read()[0, 0, 0]) for step, read in dataset.load().items()}


def test_pictures_are_added_and_replaced(dataset, tmp_path):
    assert not dataset.exists()
    dataset.save(ValidationPictures([]))
    assert dataset.exists()
    assert levels(dataset) == {}
    dataset.save(ValidationPictures([20, 100], {20: picture(2), 100: picture(10)}))
    assert levels(dataset) == {20: 2, 100: 10}
    dataset.save(ValidationPictures([20, 100, 200], {100: picture(9), 200: picture(7)}))
    assert levels(dataset) == {20: 2, 100: 9, 200: 7}
    names = [path.name for path in sorted((tmp_path / "pictures").iterdir())]
    assert names == ["0000020.png", "0000100.png", "0000200.png"]


def test_pictures_of_another_run_are_dropped(dataset, tmp_path):
    dataset.save(ValidationPictures([20, 40], {20: picture(1), 40: picture(2)}))
    (tmp_path / "pictures" / "notes.txt").write_text("mine")
    dataset.save(ValidationPictures([]))  # a fresh run, before its first validation
    assert levels(dataset) == {}
    dataset.save(ValidationPictures([30], {30: picture(3)}))
    assert levels(dataset) == {30: 3}
    assert (tmp_path / "pictures" / "notes.txt").exists()


def test_preview_is_the_last_picture(dataset, tmp_path):
    with pytest.raises(DatasetError, match="no pictures in"):
        dataset.preview()
    steps = [20, 30, 10_000_000]
    dataset.save(ValidationPictures(steps, {step: picture(1) for step in steps}))
    stored = (tmp_path / "pictures" / "10000000.png").read_bytes()
    assert base64.b64decode(dataset.preview()) == stored


def test_describe(dataset, tmp_path):
    assert dataset._describe() == {"filepath": str(tmp_path / "pictures")}
