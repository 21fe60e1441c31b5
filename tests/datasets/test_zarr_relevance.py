"""The relevance of channels as a catalog entry."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from editing.global_directions.world import ColourEncoder, StyledColours, make_config
from kedro.io import DatasetError

from clip2latent_kedro.datasets import ZarrRelevanceDataset
from clip2latent_kedro.editing.global_directions.measurement import measure_relevance
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import ShardProgress


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "relevance.zarr")


def make_blocks(progress=None, **changes):
    return list(
        measure_relevance(
            StyledColours(),
            ColourEncoder(),
            make_config(**changes),
            seed=3,
            device="cpu",
            progress=progress or ShardProgress(),
            resume=True,
        )
    )


def test_blocks_come_back_as_one(path):
    dataset, blocks = ZarrRelevanceDataset(filepath=path), make_blocks()
    for block in blocks:
        assert not dataset.exists()
        dataset.save(block)
    assert dataset.exists()
    relevance = dataset.load()
    for name, stored in (("mean", "mean"), ("directions", "direction")):
        parts = [block.arrays[stored] for block in blocks]
        assert (getattr(relevance, name).numpy() == np.concatenate(parts)).all()
    assert relevance.recipe["num_images"] == 5
    assert relevance.recipe["generator"] == "styled-colours@22"
    assert relevance.num_images == 2 * 5 * 4  # one of the five channels does nothing
    seconds = sum(block.arrays["seconds"].sum() for block in blocks)
    assert relevance.seconds == pytest.approx(seconds, rel=1e-5)


def test_a_killed_run_goes_on_where_it_was(path):
    dataset, blocks = ZarrRelevanceDataset(filepath=path), make_blocks()
    dataset.save(blocks[0])
    with pytest.raises(DatasetError, match=r"not whole: 1 of 3 blocks are good"):
        dataset.load()
    progress = ZarrRelevanceDataset(filepath=path, role="progress").load()
    assert progress.valid_shards == {0}
    rest = make_blocks(progress)
    assert [block.index for block in rest] == [1, 2]
    for block in rest:
        dataset.save(block)
    whole = torch.from_numpy(np.concatenate([b.arrays["direction"] for b in blocks]))
    assert torch.equal(dataset.load().directions, whole)


def test_a_damaged_block_is_measured_again(path):
    dataset = ZarrRelevanceDataset(filepath=path)
    for block in make_blocks():
        dataset.save(block)
    spoiled = make_blocks()[1]
    store = dataset._open("r+")
    store.arrays["std"][store.rows(1)] = spoiled.arrays["std"] + 1
    progress = ZarrRelevanceDataset(filepath=path, role="progress").load()
    assert progress.valid_shards == {0, 2}


def test_blocks_of_other_settings_are_refused(path):
    dataset = ZarrRelevanceDataset(filepath=path)
    dataset.save(make_blocks()[0])
    with pytest.raises(DatasetError, match=r"other settings: num_sigmas"):
        dataset.save(make_blocks(num_sigmas=3.0)[1])
    dataset.save(replace(make_blocks(num_sigmas=3.0)[0], fresh=True))
    assert dataset._open("r").recipe["num_sigmas"] == 3.0


def test_nothing_is_none_or_an_error(path):
    assert ZarrRelevanceDataset(filepath=path, missing_ok=True).load() is None
    with pytest.raises(DatasetError, match="There is no relevance"):
        ZarrRelevanceDataset(filepath=path).load()
    progress = ZarrRelevanceDataset(filepath=path, role="progress")
    assert progress.load() == ShardProgress()
    with pytest.raises(DatasetError, match="only reports progress"):
        progress.save(make_blocks()[0])


def test_a_store_of_something_else_is_refused(path):
    dataset = ZarrRelevanceDataset(filepath=path)
    dataset.save(make_blocks()[0])
    store = dataset._open("r+")
    store.arrays["std"].resize((3,))
    with pytest.raises(InputError, match="are damaged"):
        dataset._open("r")
    assert (
        "damaged" in ZarrRelevanceDataset(filepath=path, role="progress").load().problem
    )
