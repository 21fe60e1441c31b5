"""What catalog entries that are written shard by shard have in common."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from kedro.io import AbstractDataset, DatasetError

from clip2latent_kedro.datasets.locks import hold
from clip2latent_kedro.datasets.optional import none_if_missing
from clip2latent_kedro.datasets.places import open_place
from clip2latent_kedro.datasets.shard_store import (
    Layout,
    Shard,
    ShardStore,
    create_store,
    open_store,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs.contents import ShardProgress
from clip2latent_kedro.pairs.recipe import FREE
from clip2latent_kedro.provenance import list_differences


@dataclass(frozen=True)
class StoreWriter:
    """Writes shards of one store from several processes (see `pairs.ShardWriter`).

    Attributes:
        url: Local folder or fsspec URL.
        layout: What the store holds.
        options: For the fsspec file system; None for a local folder.
    """

    url: str
    layout: Layout
    options: dict[str, Any] | None

    def hold(self) -> None:
        """Keep other runs from writing there, until this process ends."""
        hold(open_place(self.url, self.options))

    def lay_out(self, shard: Shard) -> None:
        """Make an empty store for such shards, in place of any other."""
        create_store(self.url, self.layout, shard, self.options)

    @cached_property
    def _store(self) -> ShardStore:
        """The store, which a worker opens once."""
        store = open_store(self.url, self.layout, "r+", self.options)
        assert store is not None, "it is laid out first"
        return store

    def write(self, shard: Shard) -> None:
        """Write a shard of a store that is laid out."""
        self._store.write_shard(shard)


class ZarrShardsDataset(AbstractDataset[Any, Any]):
    """Saves shards one at a time; loads all of them together, or how far they are.

    `exists` is true only of a store that is whole, every checksum included.

    Attributes:
        layout: Of the store.
        whole: The role of an entry that loads all shards; the other is `progress`.
    """

    layout: ClassVar[Layout]
    whole: ClassVar[str]

    def __init__(
        self,
        *,
        filepath: str,
        role: str,
        missing_ok: bool,
        credentials: dict[str, Any] | None,
        storage_options: dict[str, Any] | None,
        metadata: dict[str, Any] | None,
    ) -> None:
        """Point at a store; arguments as of the entries."""
        self._filepath = filepath
        self._role = role
        self._missing_ok = missing_ok
        self._options = {**(storage_options or {}), **(credentials or {})} or None
        self.metadata = metadata

    @none_if_missing
    def load(self) -> Any:
        """Return what the verified shards hold, or the progress (see `role`)."""
        return self._load_progress() if self._role == "progress" else self._load_whole()

    def save(self, data: Any) -> None:
        """Write one shard; lay out the store first if there is none."""
        if self._role == "progress":
            msg = (
                f"{self} only reports progress. Save to the entry of role {self.whole}."
            )
            raise DatasetError(msg)
        if not data.arrays:
            return
        self._writer.hold()
        store = None if data.fresh else self._open("r+")
        if store is None:
            store = create_store(self._filepath, self.layout, data, self._options)
        elif differing := list_differences(store.recipe, data.recipe, free=FREE):
            msg = (
                f"The store at {self._filepath} was made under other settings: "
                f"{', '.join(differing)}. Save a fresh shard to replace it."
            )
            raise DatasetError(msg)
        store.write_shard(data)

    def _load_whole(self) -> Any:
        raise NotImplementedError

    def _load_progress(self) -> ShardProgress:
        try:
            store = self._open("r")
        except InputError as error:
            return ShardProgress(problem=str(error), writer=self._writer)
        if store is None:
            return ShardProgress(writer=self._writer)
        valid = (index for index, arrays in store.read_shards() if arrays is not None)
        return ShardProgress(store.recipe, frozenset(valid), writer=self._writer)

    @property
    def _writer(self) -> "StoreWriter":
        return StoreWriter(self._filepath, self.layout, self._options)

    def _open(self, mode: Literal["r", "r+"]) -> ShardStore | None:
        return open_store(self._filepath, self.layout, mode, self._options)

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
