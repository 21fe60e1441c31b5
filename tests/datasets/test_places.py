"""Entries elsewhere than on this machine: on S3, and by fsspec in general."""

import base64
import uuid
from dataclasses import replace
from functools import partial

import fsspec
import numpy as np
import pytest
import torch
from api.test_sources import make_checkpoint
from kedro.io import DatasetError, Version
from prior.published_toys import make_checkpoint as make_published

from clip2latent_kedro.datasets import (
    ArrayFolderDataset,
    CheckpointDataset,
    FileCopyDataset,
    JsonFolderDataset,
    NpzDataset,
    PictureFolderDataset,
    PriorDataset,
    PublishedDataset,
    ReportFolderDataset,
    ValidationPicturesDataset,
    WeightsFolderDataset,
)
from clip2latent_kedro.datasets.places import open_place
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.inference import LabelledPicture
from clip2latent_kedro.study.validation import ValidationPictures


def level(value):
    return np.full((4, 5, 3), value, np.uint8)


@pytest.fixture(params=["s3", "memory"])
def root(request):
    if request.param == "s3":
        return f"{request.getfixturevalue('s3')}/folder"
    return f"memory:///{uuid.uuid4().hex}/folder"


def files(address):
    """Return the names of files below an address."""
    file_system, path = fsspec.core.url_to_fs(address)
    file_system.invalidate_cache()
    return sorted(found.removeprefix(f"{path}/") for found in file_system.find(path))


def damage(address):
    file_system, path = fsspec.core.url_to_fs(address)
    file_system.pipe_file(path, file_system.cat_file(path)[:20])


FOLDERS = {
    "json": (JsonFolderDataset, lambda value: {"a": value}, lambda item: item["a"]),
    "npz": (
        ArrayFolderDataset,
        lambda value: ({"images": level(value)}, {"of": value}),
        lambda item: int(item[0]["images"][0, 0, 0]),
    ),
    "png": (
        PictureFolderDataset,
        lambda value: LabelledPicture(level(value), {"prompt": "é"}),
        lambda item: int(item().image_u8[0, 0, 0]),
    ),
    "safetensors": (
        WeightsFolderDataset,
        lambda value: ({"w": torch.tensor([value])}, {"text": "é"}),
        lambda item: int(item()[0]["w"][0]),
    ),
}


@pytest.mark.parametrize("suffix", FOLDERS)
def test_folders_are_added_to(root, suffix):
    kind, make, value_of = FOLDERS[suffix]
    open_folder = partial(kind, filepath=root)
    assert not open_folder().exists()
    assert open_folder().load() == {}
    reader = open_folder()
    open_folder().save({"b.c": make(1), "a": make(2)})
    open_folder().save({"b.c": make(3), "d": make(4)})
    loaded = {name: value_of(item) for name, item in reader.load().items()}
    assert loaded == {"a": 2, "b.c": 3, "d": 4}
    assert reader.exists()
    assert files(root) == [f"a.{suffix}", f"b.c.{suffix}", f"d.{suffix}"]
    assert open_folder()._describe() == {"filepath": str(open_place(root))}


@pytest.mark.parametrize("suffix", ["json", "npz", "png"])
def test_a_damaged_item_is_named_by_its_address(root, suffix):
    kind, make, value_of = FOLDERS[suffix]
    kind(filepath=root).save({"a": make(1)})
    if suffix == "json":
        file_system, path = fsspec.core.url_to_fs(f"{root}/a.json")
        file_system.pipe_file(path, b'{"x":')
    else:
        damage(f"{root}/a.{suffix}")
    message = rf"://.*/folder/a\.{suffix} must.*Remove"
    with pytest.raises((DatasetError, InputError), match=message):
        value_of(kind(filepath=root).load()["a"])


def test_one_array_is_read_without_the_others(s3):
    import s3fs

    large = np.random.default_rng(0).integers(0, 256, 60_000_000, np.uint8)
    dataset = ArrayFolderDataset(
        filepath=f"{s3}/rows", fs_args={"default_block_size": 5 * 2**20}
    )
    dataset.save({"row": ({"large": large, "small": np.arange(3)}, {"of": 1})})
    s3fs.S3FileSystem.clear_instance_cache()
    arrays, record = dataset.load()["row"]
    assert list(arrays) == ["large", "small"]
    assert arrays["small"].tolist() == [0, 1, 2]
    assert record == {"of": 1}


def test_validation_pictures_are_those_of_one_run(root):
    dataset = ValidationPicturesDataset(filepath=root)
    dataset.save(ValidationPictures([20, 30], {20: level(2), 30: level(3)}))
    dataset.save(ValidationPictures([20, 100], {100: level(7)}))
    levels = {step: int(read()[0, 0, 0]) for step, read in dataset.load().items()}
    assert levels == {20: 2, 100: 7}
    assert base64.b64decode(dataset.preview())[1:4] == b"PNG"


def test_checkpoints_round_trip_and_are_replaced(root):
    open_entry = partial(CheckpointDataset, filepath=f"{root}/prior.safetensors")
    assert open_entry(missing_ok=True).load() is None
    with pytest.raises(DatasetError, match=r"no prior checkpoint at .*://"):
        open_entry().load()
    checkpoint = make_checkpoint()
    open_entry().save(checkpoint)
    open_entry().save(replace(checkpoint, step=checkpoint.step + 1))
    loaded = open_entry().load()
    assert loaded.step == checkpoint.step + 1
    torch.testing.assert_close(loaded.ema, checkpoint.ema)
    damage(f"{root}/prior.safetensors")
    assert not open_entry().exists()
    refusal = open_entry(missing_ok=True).load()
    assert isinstance(refusal, InputError)
    assert "://" in str(refusal)
    assert "resume:false" in str(refusal)


def test_priors_are_versioned(root):
    checkpoint = make_checkpoint()
    open_entry = partial(PriorDataset, filepath=f"{root}/prior.safetensors")
    assert not open_entry(version=Version(None, None)).exists()
    for day in (1, 2):
        version = Version(None, f"2026-01-0{day}T00.00.00.000Z")
        ema = {name: value + day for name, value in checkpoint.ema.items()}
        open_entry(version=version).save(replace(checkpoint, ema=ema))
    for load, day in ((None, 2), ("2026-01-01T00.00.00.000Z", 1)):
        entry = open_entry(version=Version(load, None), form="checkpoint")
        name, value = next(iter(checkpoint.ema.items()))
        torch.testing.assert_close(entry.load().ema[name], value + day)
    assert len(entry.list_versions(full_path=False)) == 2


def test_a_report_is_a_folder_and_a_copy_is_fetched(root, tmp_path):
    report = ReportFolderDataset(filepath=f"{root}/report")
    with pytest.raises(DatasetError):
        report.load()
    report.save({"old.png": level(1), "page.md": "é"})
    report.save({"a.png": level(2), "page.md": "è"})
    loaded = report.load()
    assert sorted(loaded) == ["a.png", "page.md"]
    assert loaded["page.md"] == "è"
    (tmp_path / "file").write_bytes(b"content")
    copy = FileCopyDataset(filepath=f"{root}/copy")
    copy.save(tmp_path / "file")
    assert copy.load().read_bytes() == b"content"


def test_credentials_of_the_catalog_reach_the_store(s3, s3_server, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    credentials = {"key": "k", "secret": "s", "endpoint_url": s3_server}
    folder = JsonFolderDataset(filepath=f"{s3}/answers", credentials=credentials)
    folder.save({"a": 1})
    assert folder.load() == {"a": 1}
    array = NpzDataset(filepath=f"{s3}/a.npz", credentials=credentials)
    array.save({"x": np.ones(2)})
    assert array.load()["x"].tolist() == [1, 1]
    prior = PriorDataset(filepath=f"{s3}/prior.safetensors", credentials=credentials)
    prior.save(make_checkpoint())
    assert prior.exists()


def test_a_published_checkpoint_is_exported_with_its_yaml(root):
    place = f"{root}/export/prior.ckpt"
    PublishedDataset(filepath=place).save(make_published())
    assert files(f"{root}/export") == ["prior.ckpt", "prior.yaml"]
