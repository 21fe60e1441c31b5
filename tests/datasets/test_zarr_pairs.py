"""A store of pairs is whole or says what it lacks, whatever happened to it."""

import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
import zarr
from kedro.io import DatasetError

from clip2latent_kedro.datasets import ZarrPairsDataset
from clip2latent_kedro.pairs import PairShard, ShardProgress

SIZE, TOTAL = 4, 10
RECIPE = {
    "samples_per_shard": SIZE,
    "n_samples": TOTAL,
    "seed": 1,
    "generator": "g@0",
    "encoder": "e@1",
    "versions": {},
}


def make_shards(recipe=RECIPE, dtype="float32", images=False):
    random = np.random.default_rng(recipe["seed"])
    arrays = {
        "w": random.normal(size=(TOTAL, 2, 3)).astype(dtype),
        "clip_embedding": random.normal(size=(TOTAL, 5)).astype(dtype),
    }
    if images:
        arrays["images"] = random.integers(0, 256, (TOTAL, 2, 2, 3), dtype=np.uint8)
    return [
        PairShard(
            index,
            index * SIZE,
            TOTAL,
            {name: a[index * SIZE : (index + 1) * SIZE] for name, a in arrays.items()},
            recipe,
        )
        for index in range(3)
    ]


def join(shards, name="w"):
    return np.concatenate([shard.arrays[name] for shard in shards])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pairs.zarr"


@pytest.fixture
def pairs(path):
    return ZarrPairsDataset(filepath=str(path))


@pytest.fixture
def progress(path):
    return ZarrPairsDataset(filepath=str(path), role="progress")


def save_all(dataset, shards):
    for shard in shards:
        dataset.save(shard)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("limit", [8.0, 0.0])
def test_round_trip_in_any_order(path, dtype, limit):
    pairs = ZarrPairsDataset(filepath=str(path), memory_limit_gib=limit)
    shards = make_shards(dtype=dtype, images=True)
    save_all(pairs, shards[::-1])
    loaded = pairs.load()
    assert len(loaded) == TOTAL
    assert loaded.recipe == RECIPE
    assert isinstance(loaded.w, zarr.Array if limit == 0 else np.ndarray)
    for rows in (slice(3, 9), np.array([7, 0, 2])):
        w, clip_embedding = loaded.take(rows)
        np.testing.assert_array_equal(w, join(shards)[rows])
        np.testing.assert_array_equal(
            clip_embedding, join(shards, "clip_embedding")[rows]
        )
    np.testing.assert_array_equal(loaded.images[:], join(shards, "images"))
    assert loaded.w.dtype == dtype


def test_pairs_travel_by_name_and_are_read_from_the_store(pairs):
    shards = make_shards()
    save_all(pairs, shards)
    loaded = pairs.load()
    light = pickle.loads(pickle.dumps(loaded.from_store()))  # noqa: S301 (our own)
    assert isinstance(loaded.w, np.ndarray)
    assert isinstance(light.w, zarr.Array)
    assert len(light) == TOTAL
    rows = slice(3, 9)
    for one, other in zip(light.take(rows), loaded.take(rows), strict=True):
        np.testing.assert_array_equal(one, other)
    assert light.from_store() is light


def test_missing(pairs, progress, path):
    assert pairs._describe() == {"filepath": str(path), "role": "pairs"}
    assert not pairs.exists()
    assert progress.load() == ShardProgress()
    with pytest.raises(DatasetError, match=r"no pairs at .*Run data_generation first"):
        pairs.load()


def test_unfinished_is_not_read_as_whole(pairs, progress):
    save_all(pairs, make_shards()[:2])
    assert not pairs.exists()
    assert progress.load() == ShardProgress(RECIPE, frozenset({0, 1}))
    with pytest.raises(DatasetError, match=r"2 of 3 shards are good.*damaged are 2"):
        pairs.load()
    with pytest.raises(DatasetError, match="only reports progress"):
        progress.save(make_shards()[2])
    save_all(pairs, [make_shards()[2], PairShard(0, 0, TOTAL, {}, RECIPE)])
    np.testing.assert_array_equal(pairs.load().w, join(make_shards()))


DAMAGES = {
    "flipped": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "cut": lambda content: content[:-7],
    "empty": lambda content: b"",
    "gone": None,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("array", ["w", "clip_embedding", "images", "checksum"])
@pytest.mark.parametrize("index", [1, 2])
def test_a_damaged_shard_is_named_and_made_again_alone(
    pairs, progress, path, damage, array, index
):
    shards = make_shards(images=True)
    save_all(pairs, shards)
    chunk = path / array / "c" / str(index)
    file = next(file for file in (chunk, *chunk.rglob("*")) if file.is_file())
    content = file.read_bytes()
    file.unlink()
    if DAMAGES[damage]:
        file.write_bytes(DAMAGES[damage](content))
    assert not pairs.exists()
    assert progress.load().valid_shards == {0, 1, 2} - {index}
    with pytest.raises(DatasetError, match=f"2 of 3.*damaged are {index}. Run"):
        pairs.load()
    pairs.save(shards[index])
    assert pairs.exists()
    for name in ("w", "clip_embedding", "images"):
        stored = pairs.load()
        np.testing.assert_array_equal(getattr(stored, name)[:], join(shards, name))


def test_swapped_shards_are_noticed(pairs, progress, path):
    save_all(pairs, make_shards())
    for chunk in ("w/c/{}/0/0", "clip_embedding/c/{}/0", "checksum/c/{}"):
        one, other = (path / chunk.format(index) for index in (0, 1))
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)
    assert progress.load().valid_shards == {2}


def test_damaged_metadata_are_a_problem_but_can_be_replaced(pairs, progress, path):
    shards = make_shards()
    save_all(pairs, shards)
    (path / "w" / "zarr.json").write_text("{")
    assert not pairs.exists()
    assert "damaged" in progress.load().problem
    with pytest.raises(DatasetError, match=r"metadata .* damaged"):
        pairs.load()
    save_all(pairs, [replace(shards[0], fresh=True), *shards[1:]])
    np.testing.assert_array_equal(pairs.load().w, join(shards))


def test_interrupted_layout_is_no_store(pairs, progress, path):
    save_all(pairs, make_shards())
    metadata = json.loads((path / "zarr.json").read_text())
    (path / "zarr.json").write_text(json.dumps({**metadata, "attributes": {}}))
    assert progress.load() == ShardProgress()
    pairs.save(make_shards()[0])
    assert progress.load().valid_shards == {0}


def test_overwrite_needs_a_fresh_shard(pairs, progress):
    save_all(pairs, make_shards())
    other = make_shards({**RECIPE, "seed": 2}, images=True)
    with pytest.raises(
        DatasetError, match=r"other settings: seed \(stored 1, asked 2\)"
    ):
        pairs.save(other[0])
    assert pairs.exists()
    pairs.save(replace(other[0], fresh=True))
    assert progress.load().recipe["seed"] == 2
    assert progress.load().valid_shards == {0}
    save_all(pairs, other[1:])
    np.testing.assert_array_equal(pairs.load().w, join(other))


def test_interrupted_replacement_is_no_store(pairs, progress, monkeypatch):
    save_all(pairs, make_shards())

    def open_group(*args, mode, **kwargs):
        if mode == "w":  # deletes what is there, in no certain order
            raise KeyboardInterrupt
        return zarr_open_group(*args, mode=mode, **kwargs)

    zarr_open_group = zarr.open_group
    monkeypatch.setattr(zarr, "open_group", open_group)
    with pytest.raises(KeyboardInterrupt):
        pairs.save(replace(make_shards()[0], fresh=True))
    assert progress.load() == ShardProgress()


def test_remote_store_with_storage_options():
    url = "memory://bucket/pairs.zarr"
    pairs = ZarrPairsDataset(filepath=url, credentials={"skip_instance_cache": False})
    assert not pairs.exists()
    shards = make_shards()
    save_all(pairs, shards)
    np.testing.assert_array_equal(pairs.load().w, join(shards))
    assert ZarrPairsDataset(filepath=url, role="progress").load().valid_shards == {
        0,
        1,
        2,
    }


def test_preview_is_a_table_of_rows_and_statistics(pairs):
    assert pairs.preview()["data"] == []
    shards = make_shards()
    save_all(pairs, shards)
    table = pairs.preview(nrows=2)
    assert [row[0] for row in table["data"]] == ["0", "1", "mean", "std"]
    w = join(shards)[:SIZE].reshape(SIZE, -1)
    np.testing.assert_allclose(table["data"][0][1], np.linalg.norm(w[0]), atol=1e-4)
    np.testing.assert_allclose(table["data"][2][2], w[:, 0].mean(), atol=1e-4)
    assert json.loads(json.dumps(table)) == table


def test_a_store_that_is_moved_stays_good(pairs, path, tmp_path):
    save_all(pairs, make_shards())
    shutil.move(path, tmp_path / "elsewhere.zarr")
    assert ZarrPairsDataset(filepath=str(tmp_path / "elsewhere.zarr")).exists()


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("w", {"shape": [10**12, 2, 3]}),
        ("w", {"data_type": "int64", "fill_value": 0}),
        ("checksum", {"shape": [10**12]}),
        ("checksum", {"fill_value": 0, "shape": [10**9]}),
        ("clip_embedding", {"node_type": "group"}),
        (".", {"attributes": {"recipe": RECIPE, "arrays": ["w"]}}),
        (".", {"attributes": {"recipe": [], "arrays": ["w", "clip_embedding"]}}),
        (".", {"attributes": {"recipe": RECIPE, "arrays": 3}}),
        (".", {"attributes": {"recipe": RECIPE, "arrays": ["../w", "w"]}}),
    ],
)
def test_metadata_that_are_valid_json_but_not_ours(place, change, tmp_path):
    save_all(ZarrPairsDataset(filepath=str(tmp_path / "pairs.zarr")), make_shards())
    path = tmp_path / "pairs.zarr" / place / "zarr.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    dataset = ZarrPairsDataset(filepath=str(tmp_path / "pairs.zarr"))
    with pytest.raises(DatasetError, match=r"The metadata of the store at .* damaged"):
        dataset.load()
    assert not dataset.exists()


def test_a_store_of_version_2_whose_filter_is_a_program_runs_nothing(tmp_path):
    """Zarr 2 has a filter that unpickles; such a store is none of ours."""
    url, ran = tmp_path / "pairs.zarr", tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return ran.touch, ()

    group = zarr.open_group(str(url), mode="w", zarr_format=2)
    for name, shape in (("w", (1, 1, 2)), ("clip_embedding", (1, 2)), ("checksum", 1)):
        dtype = "<i8" if name == "checksum" else "<f4"
        group.create_array(name, shape=shape, dtype=dtype, compressors=None)
        place = url / name / ".zarray"
        metadata = json.loads(place.read_text())
        metadata["filters"] = [{"id": "pickle"}]
        place.write_text(json.dumps(metadata))
        chunk = "0.0.0" if name == "w" else "0.0" if name == "clip_embedding" else "0"
        (url / name / chunk).write_bytes(pickle.dumps(Hostile()))
    recipe = {**RECIPE, "n_samples": 1, "samples_per_shard": 1}
    group.attrs.put({"recipe": recipe, "arrays": ["w", "clip_embedding"]})
    with pytest.raises(DatasetError, match="There are no pairs"):
        ZarrPairsDataset(filepath=str(url)).load()
    assert not ran.exists()
