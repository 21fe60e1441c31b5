"""Pairs a second by one process, by workers of this machine and by a Ray cluster on it.

By turns, with the models of the default world and one thread each; every round makes
the same pairs in a new folder, whose files are compared byte by byte. The rate is that
of all shards but the first of each worker, so that the start is told apart from it.
Example: `python benchmarks/workers.py --workers 2 --rounds 3`.
"""

import argparse
import hashlib
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from clip2latent_kedro.checked import read_settings
from clip2latent_kedro.datasets import ZarrPairsDataset
from clip2latent_kedro.engines import Engine, EngineConfig
from clip2latent_kedro.engines.local import LocalEngine
from clip2latent_kedro.engines.ray_cluster import RayEngine
from clip2latent_kedro.pairs import DataConfig, GenerationConfig, generate_pairs
from clip2latent_kedro.project import open_project
from clip2latent_kedro.runtime import describe_machine

PROJECT = Path(__file__).parents[1]


def main() -> None:
    """Print a line of JSON for each round and way, and one for the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=12_288)
    parser.add_argument("--samples-per-shard", type=int, default=512)
    parser.add_argument("--without-ray", action="store_true")
    options = parser.parse_args()

    torch.set_num_threads(1)
    project = open_project(PROJECT)
    models = [project.catalog.load(name) for name in ("generator", "encoder")]
    data = read_settings(DataConfig, project.parameters["data"])
    written = project.parameters["data_generation"]
    sizes = {
        "n_samples": options.pairs,
        "samples_per_shard": options.samples_per_shard,
    }
    generation = read_settings(GenerationConfig, {**written, **sizes})
    num = options.workers
    ways: dict[str, Engine] = {
        "one process": LocalEngine("cpu", EngineConfig(threads=1)),
        "local workers": LocalEngine("cpu", EngineConfig(workers=num, threads=1)),
    }
    if not options.without_ray:
        ways["one ray worker"] = RayEngine("cpu", EngineConfig("ray", 1, 1))
        ways["ray workers"] = RayEngine("cpu", EngineConfig("ray", num, 1))
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    digests = set()
    for _ in range(options.rounds):
        for name, engine in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                store = Path(folder) / "pairs.zarr"
                measured = measure(engine, models, data, generation, store)
                digests.add(digest(store))
            found[name].append(measured)
            print(json.dumps({"way": name, **measured}), flush=True)
    medians = {
        name: {key: median(row[key] for row in rows) for key in rows[0]}
        for name, rows in found.items()
    }
    one = medians["one process"]["pairs_per_second"]
    report = {
        "machine": describe_machine(),
        "equal in every byte": len(digests) == 1,
        "medians": medians,
        "ratios": {n: row["pairs_per_second"] / one for n, row in medians.items()},
    }
    print(json.dumps(report))


def measure(
    engine: Engine,
    models: list,
    data: DataConfig,
    generation: GenerationConfig,
    store: Path,
) -> dict[str, float]:
    """Return the rate, the seconds to the first shard and after the last, and all."""
    pairs = ZarrPairsDataset(filepath=str(store))
    progress = ZarrPairsDataset(filepath=str(store), role="progress").load()
    began = time.perf_counter()
    times = []
    for shard in generate_pairs(
        *models, data, generation, seed=0, engine=engine, progress=progress, resume=True
    ):
        pairs.save(shard)
        times.append(time.perf_counter() - began)
    ended = time.perf_counter() - began
    first = engine.num_workers - 1
    rows = generation.samples_per_shard * (len(times) - 1 - first)
    rate = rows / (times[-1] - times[first])
    own = generation.samples_per_shard * engine.num_workers / rate  # of a shard
    return {
        "pairs_per_second": rate,
        "seconds_to_start": times[0] - own,
        "seconds_to_end": ended - times[-1],
        "seconds": ended,
    }


def digest(folder: Path) -> str:
    """Return a SHA-256 of all files of a folder."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            whole.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return whole.hexdigest()


if __name__ == "__main__":
    main()
