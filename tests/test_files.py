"""Files are whole or not there, and belong to whom the umask says."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from downloads.servers import FileServer
from generators.networks import make_stylegan2
from generators.snapshots import write_nvidia
from kedro_datasets.matplotlib import MatplotlibDataset
from kedro_datasets.pandas import CSVDataset
from matplotlib.figure import Figure
from shipped import PORTRAITS, make_portraits_checkpoint

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.datasets import (
    ArrayFolderDataset,
    CheckpointDataset,
    FileCopyDataset,
    JsonFolderDataset,
    PublishedDataset,
    ReportFolderDataset,
    WeightsDataset,
    ZarrPairsDataset,
)
from clip2latent_kedro.downloads import Source, fetch, fetch_file
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import replacing
from clip2latent_kedro.generators.files import cached_stylegan
from clip2latent_kedro.images import read_picture
from clip2latent_kedro.pairs import PairShard
from clip2latent_kedro.reading import (
    array_names,
    is_safetensors,
    read_npy,
    read_npz,
    read_weights,
)


@pytest.fixture(params=[0o022, 0o077, 0o002], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes_below(folder):
    """Return the modes of all files, and of all folders, at any depth."""
    files, folders = set(), set()
    for path in folder.rglob("*"):
        (folders if path.is_dir() else files).add(path.stat().st_mode & 0o777)
    return files, folders


def save_datasets(folder, source):
    checkpoint = make_portraits_checkpoint()
    numbers = np.zeros((2, 1, 3), np.float32)
    shard = PairShard(
        0, 0, 2, {"w": numbers}, {"samples_per_shard": 2, "n_samples": 2, "seed": 0}
    )
    saved = [
        (CheckpointDataset, "a/prior.safetensors", checkpoint),
        (PublishedDataset, "b/prior.ckpt", checkpoint),
        (WeightsDataset, "c/weights.safetensors", ({"a": torch.zeros(1)}, {})),
        (ArrayFolderDataset, "d/arrays", {"a": ({"x": numbers}, {})}),
        (JsonFolderDataset, "e/documents", {"a": {"b": 1}}),
        (ReportFolderDataset, "f/report", {"a.md": "text"}),
        (FileCopyDataset, "g/copy", source),
        (ZarrPairsDataset, "h/pairs.zarr", shard),
        (CSVDataset, "i/table.csv", pd.DataFrame({"a": [1]})),
        (MatplotlibDataset, "j/figure.png", Figure()),
    ]
    for kind, name, data in saved:
        kind(filepath=str(folder / name)).save(data)


def test_what_is_stored_has_the_mode_of_any_new_file(tmp_path, umask):
    source = write_nvidia(make_stylegan2(), tmp_path / "source.pkl")
    source.chmod(0o600)  # of which a copy knows nothing
    folder = tmp_path / "made"
    folder.mkdir()
    save_datasets(folder, source)
    cached_stylegan(source, folder / "converted")
    sampling = {"sampler": "ddpm", "num_steps": 4, "guidance_scale": 1.0}
    settings = {**PORTRAITS, "sampling": sampling}
    model = Clip2StyleGAN(settings, "cpu", folder / "b/prior.ckpt")
    model.save_pretrained(folder / "shared", include=("generator", "encoder"))
    assert modes_below(folder) == ({0o666 & ~umask}, {0o777 & ~umask})


def test_what_is_fetched_has_the_mode_of_any_new_file(tmp_path, umask):
    with FileServer() as server:
        server.files["/model.bin"] = b"content"
        fetch(Source(f"{server.url}/model.bin", cache_folder=tmp_path / "made/cache"))
    assert modes_below(tmp_path / "made") == ({0o666 & ~umask}, {0o777 & ~umask})


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_file_that_is_not_finished_changes_nothing(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_has_left_does_not_stay(tmp_path):
    path = tmp_path / "file"
    left = tmp_path / ".file.partial"
    left.write_text("half")
    left.chmod(0o400)
    with replacing(path) as partial:
        assert partial == left
        partial.write_text("new")
    assert path.read_text() == "new"
    assert os.access(path, os.W_OK)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "read",
    [
        read_npy,
        lambda path: read_npz(path, str(path)),
        array_names,
        read_weights,
        read_picture,
        lambda path: fetch_file(str(path)),
    ],
)
def test_a_pipe_is_refused_and_not_waited_for(read, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    signal.alarm(20)  # ends a test that waits
    try:
        with pytest.raises(InputError, match="pipe"):
            read(tmp_path / "pipe")
        assert not is_safetensors(tmp_path / "pipe")
    finally:
        signal.alarm(0)
