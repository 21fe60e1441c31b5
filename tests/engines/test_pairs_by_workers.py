"""Pairs are equal in every byte of their files, whoever makes them."""

import pytest
from engines.work import DyingGenerator
from shipped import load_portraits
from world import make_data

from clip2latent_kedro.datasets import ZarrPairsDataset
from clip2latent_kedro.engines import EngineConfig
from clip2latent_kedro.engines.local import LocalEngine
from clip2latent_kedro.engines.ray_cluster import RayEngine, connect
from clip2latent_kedro.pairs import GenerationConfig, generate_pairs

GENERATION = GenerationConfig(
    n_samples=150,
    batch_size=16,
    out_image_size=None,
    psi=1.0,
    samples_per_shard=32,
    save_images=True,
    dtype="float32",
)
DATA = make_data(n_latents=1, latent_dim=128, latent_repeats=[10])


def make(folder, engine, *, generator=None, only=None, **settings):
    """Make pairs as the catalog does; stop after `only` shards."""
    own, encoder = load_portraits()[:2]
    store = ZarrPairsDataset(filepath=str(folder))
    progress = ZarrPairsDataset(filepath=str(folder), role="progress").load()
    shards = generate_pairs(
        generator or own,
        encoder,
        DATA,
        GENERATION,
        seed=3,
        engine=engine,
        progress=progress,
        resume=True,
    )
    for number, shard in enumerate(shards, start=1):
        store.save(shard)
        if number == only:
            shards.close()
            break
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*/*")  # without the recipe, which tells the code
        if path.is_file()
    }


def local(workers):
    return LocalEngine("cpu", EngineConfig(workers=workers, threads=1))


def ray_engine(workers):
    return RayEngine("cpu", EngineConfig("ray", workers=workers, threads=1))


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return make(tmp_path_factory.mktemp("pairs") / "pairs.zarr", local(None))


@pytest.fixture
def cluster():
    pytest.importorskip("ray")
    with connect(EngineConfig("ray", workers=3)):
        yield


def test_processes_write_the_bytes_of_one(tmp_path, expected):
    assert make(tmp_path / "pairs.zarr", local(2)) == expected


def test_a_worker_that_is_killed_costs_no_more_than_time(tmp_path, expected):
    mark = tmp_path / "mark"
    mark.touch()
    dying = DyingGenerator(load_portraits()[0], mark)
    assert make(tmp_path / "pairs.zarr", local(2), generator=dying) == expected
    assert not mark.exists()


def test_what_workers_began_is_gone_on_with_here(tmp_path, expected):
    folder = tmp_path / "pairs.zarr"
    assert make(folder, local(2), only=2) != expected
    assert make(folder, local(None)) == expected


@pytest.mark.slow
def test_a_cluster_writes_the_bytes_of_one_process(tmp_path, expected, cluster):
    for workers in (1, 2, 3):
        assert make(tmp_path / f"{workers}.zarr", ray_engine(workers)) == expected
    mark = tmp_path / "mark"
    mark.touch()
    dying = DyingGenerator(load_portraits()[0], mark)
    folder = tmp_path / "killed.zarr"
    assert make(folder, ray_engine(2), generator=dying) == expected
    assert not mark.exists()

    begun = tmp_path / "begun.zarr"
    make(begun, local(None), only=1)
    assert make(begun, ray_engine(2), only=2) != expected
    assert make(begun, local(None)) == expected
