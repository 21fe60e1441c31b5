"""Rates of reading training pairs: our Zarr store beside other formats.

    python benchmarks/array_reading.py --pairs 20000

Each format holds the same w [n, 1, 512] and clip_embedding [n, 512], float32. "All"
loads both arrays whole; "batches" reads random batches of 512 rows, in the way that
the format allows. The files were just written: rates are those of a warm page cache.
Prints one JSON object; nothing is kept.
"""

import argparse
import io
import json
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import zarr

from clip2latent_kedro.datasets import NpzDataset, WeightsDataset, ZarrPairsDataset
from clip2latent_kedro.pairs import PairShard
from clip2latent_kedro.runtime import describe_machine

NAMES = ("w", "clip_embedding")


def main() -> None:
    """Write the pairs in each format, read them back, report rows per second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--samples-per-shard", type=int, default=2048)
    arguments = parser.parse_args()
    n, size = arguments.pairs, arguments.samples_per_shard

    random = np.random.default_rng(0)
    pairs = {
        "w": random.standard_normal((n, 1, 512), np.float32),
        "clip_embedding": random.standard_normal((n, 512), np.float32),
    }
    batches = [random.choice(n, 512, replace=False) for _ in range(20)]

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = _write_all(folder, pairs, size)
        stored = ZarrPairsDataset(filepath=str(folder / "pairs.zarr"))
        lazy = ZarrPairsDataset(
            filepath=str(folder / "pairs.zarr"), memory_limit_gib=0
        ).load()
        whole = stored.load()
        maps = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in NAMES]

        readers: dict[str, tuple[Callable[[], object], int]] = {
            "zarr store, verified, all": (stored.load, n),
            "zarr arrays, not verified, all": (lambda: _read_zarr(folder), n),
            "npy, all": (lambda: [np.load(folder / f"{x}.npy") for x in NAMES], n),
            "npz, compressed, all": (NpzDataset(filepath=paths["npz"]).load, n),
            "safetensors, all": (WeightsDataset(filepath=paths["weights"]).load, n),
            "tar of one npy per row (as clip2latent), all": (
                lambda: sum(1 for _ in _read_tar(folder / "pairs.tar")),
                n,
            ),
            "zarr store in memory, batches": (
                lambda: [whole.take(rows) for rows in batches],
                512 * len(batches),
            ),
            "zarr store beyond memory, batches": (
                lambda: [lazy.take(rows) for rows in batches[:2]],
                1024,
            ),
            "zarr store beyond memory, chunk by chunk": (
                lambda: [lazy.take(slice(i, i + size)) for i in range(0, n, size)],
                n,
            ),
            "npy, memory-mapped, batches": (
                lambda: [np.array(array[rows]) for rows in batches for array in maps],
                512 * len(batches),
            ),
        }
        rates = {name: _rate(read, rows) for name, (read, rows) in readers.items()}

    report = {
        "rows_per_second": rates,
        "settings": vars(arguments),
        "machine": describe_machine(),
    }
    print(json.dumps(report, indent=2))


def _rate(read: Callable[[], object], rows: int, repeats: int = 3) -> int:
    """Return rows per second, the best of some runs."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        read()
        best = min(best, time.perf_counter() - began)
    return round(rows / best)


def _write_all(folder: Path, pairs: dict[str, np.ndarray], size: int) -> dict[str, str]:
    import torch

    n = len(pairs["w"])
    store = ZarrPairsDataset(filepath=str(folder / "pairs.zarr"))
    recipe = {"samples_per_shard": size}
    for index, start in enumerate(range(0, n, size)):
        arrays = {name: array[start : start + size] for name, array in pairs.items()}
        store.save(PairShard(index, start, n, arrays, recipe))
    for name, array in pairs.items():
        np.save(folder / f"{name}.npy", array)
    paths = {
        "npz": str(folder / "pairs.npz"),
        "weights": str(folder / "pairs.safetensors"),
    }
    NpzDataset(filepath=paths["npz"]).save(pairs)
    tensors = {name: torch.from_numpy(array) for name, array in pairs.items()}
    WeightsDataset(filepath=paths["weights"]).save((tensors, {}))
    with tarfile.open(folder / "pairs.tar", "w") as tar:
        for row in range(n):
            for name, array in pairs.items():
                buffer = io.BytesIO()
                np.save(buffer, array[row])
                member = tarfile.TarInfo(f"{row:06d}.{name}.npy")
                member.size = buffer.tell()
                buffer.seek(0)
                tar.addfile(member, buffer)
    return paths


def _read_zarr(folder: Path) -> list[object]:
    group = zarr.open_group(folder / "pairs.zarr", mode="r")
    return [group[name][:] for name in NAMES]


def _read_tar(path: Path) -> Iterator[np.ndarray]:
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                yield np.load(io.BytesIO(file.read()))


if __name__ == "__main__":
    main()
