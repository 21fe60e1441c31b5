"""Datasets of one file, or of a folder that is written as one."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from kedro.io import DatasetError, Version
from PIL import Image
from safetensors import safe_open

from clip2latent_kedro.datasets import (
    HTMLReportDataset,
    NpzDataset,
    PicturesDataset,
    ReportFolderDataset,
    WeightsDataset,
)

PICTURE = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
CASES = {
    "arrays.npz": (NpzDataset, {"a": np.eye(2), "b": np.array([[1]], dtype=np.uint8)}),
    "page.html": (HTMLReportDataset, "<p>é</p>"),
    "grid.png": (PicturesDataset, PICTURE),
    "studies": (ReportFolderDataset, {"a.md": "é", "a.png": PICTURE}),
    "weights.safetensors": (
        WeightsDataset,
        ({"x": torch.arange(3.0), "y": torch.ones(2, 2).half().T}, {"config": "{}"}),
    ),
}


def assert_same(left, right):
    if isinstance(left, tuple | list):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    elif isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            assert_same(left[key], right[key])
    elif isinstance(left, str):
        assert left == right
    else:
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    kind, data = CASES[request.param]
    return kind, data, str(tmp_path / "new" / request.param)


def test_round_trip_and_overwrite(case):
    kind, data, path = case
    dataset = kind(filepath=path)
    description = dataset._describe()
    assert (str(description["filepath"]), description["protocol"]) == (path, "file")
    assert not dataset.exists()
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    for _ in range(2):
        dataset.save(data)
        assert dataset.exists()
        assert_same(dataset.load(), data)
    assert len(list(Path(path).parent.iterdir())) == 1  # nothing else is left behind


def test_versions(case):
    kind, data, path = case
    for version in ("2024-01-01T00.00.00.000Z", "2025-01-01T00.00.00.000Z"):
        kind(filepath=path, version=Version(None, version)).save(data)
    with pytest.raises(DatasetError, match=r"already exists|must not exist"):
        kind(filepath=path, version=Version(None, version)).save(data)
    latest = kind(filepath=path, version=Version(None, None))
    assert latest.exists()
    assert_same(latest.load(), data)
    assert "2025" in str(latest._get_load_path())


def test_remote(case):
    kind, data, path = case
    if kind is ReportFolderDataset:
        pytest.skip("It is local.")
    dataset = kind(filepath=f"memory://{path}")
    dataset.save(data)
    assert_same(dataset.load(), data)


def test_page_is_previewed(tmp_path):
    dataset = HTMLReportDataset(filepath=str(tmp_path / "a.html"))
    dataset.save("<p>1</p>")
    assert dataset.preview() == "<p>1</p>"


def test_picture_is_uint8_rgb_and_previewed_as_png(tmp_path):
    dataset = PicturesDataset(filepath=str(tmp_path / "a.png"))
    dataset.save(PICTURE)
    image = Image.open(io.BytesIO(base64.b64decode(dataset.preview())))
    np.testing.assert_array_equal(np.array(image), PICTURE)
    with pytest.raises(DatasetError, match=r"uint8 \[h, w, 3\], got float64 \[2, 2\]"):
        dataset.save(np.eye(2))


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    with pytest.raises(DatasetError, match=r"must be an .npz file of plain arrays"):
        NpzDataset(filepath=str(tmp_path / "a.npz")).load()


@pytest.mark.parametrize("kind", [NpzDataset, WeightsDataset])
@pytest.mark.parametrize("content", [b"", b"not what it should be"])
def test_other_files_are_refused(tmp_path, kind, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DatasetError, match=r"must be an? "):
        kind(filepath=str(tmp_path / "file")).load()


def test_weights_are_plain_safetensors(tmp_path):
    path = str(tmp_path / "a.safetensors")
    WeightsDataset(filepath=path).save(CASES["weights.safetensors"][1])
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"config": "{}"}
        assert set(file.keys()) == {"x", "y"}


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    dataset = ReportFolderDataset(filepath=str(tmp_path / "studies"))
    dataset.save({"a.md": "x", "b.md": "y"})
    with pytest.raises(DatasetError, match="must be uint8"):
        dataset.save({"a.md": "y", "b.png": PICTURE.astype(float)})
    assert dataset.load() == {"a.md": "x", "b.md": "y"}
    dataset.save({"c.md": "w"})  # nothing of the failed save is left behind
    assert dataset.load() == {"c.md": "w"}


@pytest.mark.parametrize("kind", [ReportFolderDataset, HTMLReportDataset])
def test_what_a_killed_run_has_left_goes_with_the_next_version(tmp_path, kind):
    folder = tmp_path / "studies"
    left = folder / "2020-01-01T00.00.00.000Z" / ".studies.partial"
    left.parent.mkdir(parents=True)
    version = Version(None, "2021-01-01T00.00.00.000Z")
    if kind is ReportFolderDataset:
        left.mkdir()
        (left / "a.md").write_text("half")
        kind(filepath=str(folder), version=version).save({"a.md": "whole"})
        expected = folder / version.save / "studies" / "a.md"
    else:
        left.write_text("half")
        kind(filepath=str(folder), version=version).save("whole")
        expected = folder / version.save / "studies"
    assert [path for path in folder.rglob("*") if path.is_file()] == [expected]
