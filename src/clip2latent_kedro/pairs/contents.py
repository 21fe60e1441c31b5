"""What a store of pairs takes and gives: shards, progress, the whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import measure_statistics

if TYPE_CHECKING:
    import zarr

STATISTICS_SAMPLES = 10_000  # as in clip2latent

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class PairShard:
    """Consecutive pairs, saved together.

    Attributes:
        index: Position among the shards.
        start: First row.
        total: Rows of the whole store.
        arrays: `w` [rows, num_latents, w_dim], `clip_embedding` [rows, clip_dim] and
            perhaps `images` [rows, h, w, 3] uint8; empty if nothing is to be saved.
        recipe: What made the pairs (see `describe_recipe`).
        fresh: Whether to drop what is stored before this shard is saved.
    """

    index: int
    start: int
    total: int
    arrays: Mapping[str, Array]
    recipe: Mapping[str, Any]
    fresh: bool = False


class ShardWriter(Protocol):
    """A way into a store for several processes; it travels by pickle."""

    def hold(self) -> None:
        """Keep other runs from writing there, until this process ends."""
        ...

    def lay_out(self, shard: PairShard) -> None:
        """Make an empty store for such shards, in place of any other."""
        ...

    def write(self, shard: PairShard) -> None:
        """Write a shard, of which no other process writes."""
        ...


@dataclass(frozen=True)
class ShardProgress:
    """What a store holds already.

    Attributes:
        recipe: What made it; None if there is no store.
        valid_shards: Shards that are written and whole.
        problem: Why a store that is there cannot be read, if so.
        writer: By which workers write shards of their own; None if they cannot.
    """

    recipe: Mapping[str, Any] | None = None
    valid_shards: frozenset[int] = field(default_factory=frozenset)
    problem: str | None = None
    writer: ShardWriter | None = field(default=None, compare=False)


@dataclass(frozen=True)
class TrainingPairs:
    """A whole, verified set of pairs.

    Attributes:
        w: [n, num_latents, w_dim]; a Zarr array if larger than the memory limit.
        clip_embedding: [n, clip_dim], not normalised; likewise.
        recipe: What made them.
        images: [n, h, w, 3] uint8, always a Zarr array; None if not stored.
        stored: `w` and `clip_embedding` as Zarr arrays, if they are in memory here.
    """

    w: "Array | zarr.Array[Any]"
    clip_embedding: "Array | zarr.Array[Any]"
    recipe: Mapping[str, Any]
    images: "zarr.Array[Any] | None" = None
    stored: "Mapping[str, zarr.Array[Any]]" = field(default_factory=dict, repr=False)

    @property
    def settings(self) -> dict[str, Any]:
        """What the pairs were asked for, without what has computed them."""
        return {k: v for k, v in self.recipe.items() if k != "versions"}

    @property
    def made_by(self) -> dict[str, Any]:
        """What has computed them (see `provenance.describe_provenance`)."""
        return dict(self.recipe.get("versions", {}))

    def __len__(self) -> int:
        """Return the number of pairs."""
        return int(self.w.shape[0])

    def from_store(self) -> "TrainingPairs":
        """Return the same pairs as they travel: read where they are wanted."""
        stored: dict[str, Any] = {**self.stored, "stored": {}}
        return replace(self, **stored) if self.stored else self

    def take(self, rows: slice | Array) -> tuple[Array, Array]:
        """Return float32 (w, clip_embedding) of a slice or an array of row numbers."""
        return _take(self.w, rows), _take(self.clip_embedding, rows)


def summarise_pairs(
    pairs: TrainingPairs, max_samples: int = STATISTICS_SAMPLES
) -> dict[str, Any]:
    """Return statistics over the first pairs, as plain JSON.

    Args:
        pairs: The whole set; its rows are independent draws.
        max_samples: Pairs to look at, at most.

    Returns:
        `num_samples`; `mean` and `std` (unbiased) of w, each [num_latents, w_dim];
        `embedding_mean`, [clip_dim], of unit-length embeddings; `embedding_norm`,
        their mean length before.
    """
    rows = slice(0, min(len(pairs), max_samples))
    w, clip_embedding = pairs.take(rows)
    if len(w) < 2:
        msg = (
            f"latent_statistics need 2 pairs or more, got {len(w)}. Raise "
            f"data_generation.n_samples."
        )
        raise InputError(msg)
    statistics = measure_statistics(torch.from_numpy(w))
    norm = np.linalg.norm(clip_embedding.astype(np.float64), axis=1, keepdims=True)
    return {
        "num_samples": len(w),
        "mean": statistics.mean.tolist(),
        "std": statistics.std.tolist(),
        "embedding_mean": (clip_embedding / norm).mean(axis=0).tolist(),
        "embedding_norm": float(norm.mean()),
    }


def summarise_trained(
    summary: Mapping[str, Any], pairs: TrainingPairs, num_held_out: int
) -> Mapping[str, Any]:
    """Return statistics of pairs that are trained on alone.

    Args:
        summary: Of `summarise_pairs`, over the first pairs; it is returned if none of
            those that are held out is among them.
        pairs: The whole set.
        num_held_out: The last pairs, which a training is measured with.
    """
    num_trained = max(2, len(pairs) - num_held_out)
    if summary["num_samples"] <= num_trained:
        return summary
    return summarise_pairs(pairs, num_trained)


def _take(array: "Array | zarr.Array[Any]", rows: slice | Array) -> Array:
    taken = array[rows] if isinstance(array, np.ndarray) else array.oindex[rows]
    return np.asarray(taken, dtype=np.float32)
