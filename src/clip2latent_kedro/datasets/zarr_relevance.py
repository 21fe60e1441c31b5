"""The relevance of the channels of S as a catalog entry, written block by block."""

from typing import Any, Literal

import numpy as np
import torch

from clip2latent_kedro.datasets.shard_store import Layout
from clip2latent_kedro.datasets.zarr_shards import ZarrShardsDataset
from clip2latent_kedro.editing.global_directions.relevance import ChannelRelevance
from clip2latent_kedro.errors import InputError, MissingError

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


class ZarrRelevanceDataset(ZarrShardsDataset):
    """Saves `RelevanceBlock`s one at a time; loads all channels, or how far they are.

    `exists` is true only of a store that is whole, every checksum included.
    """

    layout = RELEVANCE
    whole = "relevance"

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
        super().__init__(
            filepath=filepath,
            role=role,
            missing_ok=missing_ok,
            credentials=credentials,
            storage_options=storage_options,
            metadata=metadata,
        )

    def _load_whole(self) -> ChannelRelevance:
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
