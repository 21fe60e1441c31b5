"""The relevance of the channels of S as a catalog entry, written block by block."""

from typing import Any, Literal

import numpy as np
import torch
from kedro.io import AbstractDataset, DatasetError

from clip2latent_kedro.datasets.optional import none_if_missing
from clip2latent_kedro.datasets.shard_store import (
    Layout,
    ShardStore,
    create_store,
    open_store,
)
from clip2latent_kedro.editing.global_directions.relevance import (
    ChannelRelevance,
    RelevanceBlock,
)
from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.pairs.contents import ShardProgress
from clip2latent_kedro.pairs.recipe import FREE
from clip2latent_kedro.provenance import list_differences

RELEVANCE = Layout(
    {
        "mean": (1, "f"),
        "std": (1, "f"),
        "direction": (2, "f"),
        "agreement": (1, "f"),
        "seconds": (1, "f"),
    },
    total="num_channels",
    shard_rows="channels_per_block",
)

Loaded = ChannelRelevance | ShardProgress | None


class ZarrRelevanceDataset(AbstractDataset[RelevanceBlock, Loaded]):
    """Saves `RelevanceBlock`s one at a time; loads all channels, or how far they are.

    `exists` is true only of a store that is whole, every checksum included.
    """

    def __init__(
        self,
        *,
        filepath: str,
        role: Literal["relevance", "progress"] = "relevance",
        missing_ok: bool = False,
        credentials: dict[str, Any] | None = None,
        storage_options: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a store.

        Args:
            filepath: Local folder or fsspec URL.
            role: `relevance` loads `ChannelRelevance`, and fails unless it is whole;
                `progress` loads `ShardProgress`, and cannot be saved.
            missing_ok: Whether to load None, rather than fail, where nothing is.
            credentials: Added to `storage_options`.
            storage_options: For the fsspec file system.
            metadata: For Kedro plugins.
        """
        self._filepath = filepath
        self._role = role
        self._missing_ok = missing_ok
        self._options = {**(storage_options or {}), **(credentials or {})} or None
        self.metadata = metadata

    @none_if_missing
    def load(self) -> Loaded:
        """Return the verified relevance, or the progress (see `role`)."""
        if self._role == "progress":
            return self._load_progress()
        return self._load_relevance()

    def save(self, data: RelevanceBlock) -> None:
        """Write one block; lay out the store first if there is none."""
        if self._role == "progress":
            msg = f"{self} only reports progress. Save to the entry of role relevance."
            raise DatasetError(msg)
        if not data.arrays:
            return
        store = None if data.fresh else self._open("r+")
        if store is None:
            store = create_store(self._filepath, RELEVANCE, data, self._options)
        elif differing := list_differences(store.recipe, data.recipe, free=FREE):
            msg = (
                f"The store at {self._filepath} was made under other settings: "
                f"{', '.join(differing)}. Save a fresh block to replace it."
            )
            raise DatasetError(msg)
        store.write_shard(data)

    def _load_progress(self) -> ShardProgress:
        try:
            store = self._open("r")
        except InputError as error:
            return ShardProgress(problem=str(error))
        if store is None:
            return ShardProgress()
        valid = (index for index, arrays in store.read_shards() if arrays is not None)
        return ShardProgress(store.recipe, frozenset(valid))

    def _load_relevance(self) -> ChannelRelevance:
        store = self._open("r")
        if store is None:
            msg = f"There is no relevance at {self._filepath}. Run relevance first."
            raise MissingError(msg)
        found = dict(store.read_shards())
        lacking = [index for index, arrays in found.items() if arrays is None]
        if lacking:
            num_good = store.num_shards - len(lacking)
            msg = (
                f"The relevance at {self._filepath} is not whole: {num_good} of "
                f"{store.num_shards} blocks are good. Run the pipeline relevance "
                f"again: only the others are measured."
            )
            raise InputError(msg)
        blocks = [arrays for arrays in found.values() if arrays is not None]
        whole = {
            name: torch.from_numpy(np.concatenate([block[name] for block in blocks]))
            for name in RELEVANCE.arrays
        }
        return ChannelRelevance(
            mean=whole["mean"],
            std=whole["std"],
            directions=whole["direction"],
            agreement=whole["agreement"],
            recipe=store.recipe,
            seconds=float(whole["seconds"].double().sum()),
        )

    def _open(self, mode: Literal["r", "r+"]) -> ShardStore | None:
        return open_store(self._filepath, RELEVANCE, mode, self._options)

    def _exists(self) -> bool:
        try:
            store = self._open("r")
        except InputError:
            return False
        return store is not None and all(
            arrays is not None for _, arrays in store.read_shards()
        )

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "role": self._role}
