"""Training pairs as a catalog entry, written shard by shard."""

from typing import Any, Literal

import numpy as np
from kedro_datasets._typing import TablePreview

from clip2latent_kedro.datasets.shard_store import Layout, ShardStore
from clip2latent_kedro.datasets.zarr_shards import ZarrShardsDataset
from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.pairs.contents import TrainingPairs

PAIRS = Layout(
    {"w": (3, "f"), "clip_embedding": (2, "f"), "images": (4, "u")},
    total="n_samples",
    shard_rows="samples_per_shard",
    optional=frozenset({"images"}),
)


class ZarrPairsDataset(ZarrShardsDataset):
    """Saves `PairShard`s one at a time; loads all pairs, or how far they have come.

    `exists` is true only of a store that is whole, every checksum included.
    """

    layout = PAIRS
    whole = "pairs"

    def __init__(
        self,
        *,
        filepath: str,
        role: Literal["pairs", "progress"] = "pairs",
        missing_ok: bool = False,
        memory_limit_gib: float = 8.0,
        credentials: dict[str, Any] | None = None,
        storage_options: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a store.

        Args:
            filepath: Local folder or fsspec URL, such as `s3://bucket/pairs.zarr`.
            role: `pairs` loads `TrainingPairs`, and fails unless they are whole;
                `progress` loads `ShardProgress`, and cannot be saved.
            missing_ok: Whether to load None, rather than fail, without pairs.
            memory_limit_gib: Up to this size pairs are loaded as NumPy arrays.
            credentials: Added to `storage_options`.
            storage_options: For the fsspec file system.
            metadata: For Kedro plugins.
        """
        super().__init__(
            filepath=filepath,
            role=role,
            missing_ok=missing_ok,
            credentials=credentials,
            storage_options=storage_options,
            metadata=metadata,
        )
        self._memory_limit = int(memory_limit_gib * 2**30)

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows, with mean and std over the first shard."""
        columns = [
            "row",
            "|w|",
            "w[0]",
            "w[1]",
            "|clip_embedding|",
            "clip_embedding[0]",
        ]
        store = self._open("r")
        arrays = None if store is None else store.read_shard(0)
        if arrays is None:
            return TablePreview({"index": [], "columns": columns, "data": []})
        w = arrays["w"].reshape(len(arrays["w"]), -1).astype(np.float64)
        clip_embedding = arrays["clip_embedding"].astype(np.float64)
        norms = [np.linalg.norm(array, axis=1) for array in (w, clip_embedding)]
        table = np.stack(
            [norms[0], w[:, 0], w[:, 1], norms[1], clip_embedding[:, 0]], axis=1
        )
        rows = {str(row): table[row] for row in range(min(nrows, len(table)))}
        rows |= {"mean": table.mean(axis=0), "std": table.std(axis=0)}
        data = [[name, *row.round(4).tolist()] for name, row in rows.items()]
        index = list(range(len(data)))
        return TablePreview({"index": index, "columns": columns, "data": data})

    def _load_whole(self) -> TrainingPairs:
        store = self._open("r")
        if store is None:
            msg = f"There are no pairs at {self._filepath}. Run data_generation first."
            raise MissingError(msg)
        pairs: dict[str, Any] = {
            name: store.arrays[name] for name in ("w", "clip_embedding")
        }
        stored = dict(pairs)
        in_memory = sum(array.nbytes for array in pairs.values()) <= self._memory_limit
        if in_memory:
            pairs = {name: np.empty(a.shape, a.dtype) for name, a in pairs.items()}
        lacking = []
        for index, arrays in store.read_shards():
            if arrays is None:
                lacking.append(index)
            elif in_memory:
                for name, target in pairs.items():
                    target[store.rows(index)] = arrays[name]
        if lacking:
            raise InputError(self._describe_lacking(store, lacking))
        images = store.arrays.get("images")
        return TrainingPairs(
            **pairs,
            recipe=store.recipe,
            images=images,
            stored=stored if in_memory else {},
        )

    def _describe_lacking(self, store: ShardStore, lacking: list[int]) -> str:
        total = store.num_shards
        named = ", ".join(map(str, lacking[:10])) + (", ..." if lacking[10:] else "")
        return (
            f"The pairs at {self._filepath} are not whole: {total - len(lacking)} of "
            f"{total} shards are good, unwritten or damaged are {named}. Run "
            f"data_generation again: only these are made anew."
        )
