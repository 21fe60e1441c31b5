"""A long table in a Zarr v3 group, written shard by shard, and its checksums.

Every array has one chunk (one file) per shard. Beside them, `checksum`
[num_shards] holds the CRC-32 of each shard; it is written after the shard's data
and so commits it. The recipe is written after the arrays are laid out and so commits
the layout. Zarr replaces local files atomically (a temporary file is renamed), so
that a process may be killed at any moment: what it leaves says itself what it lacks.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, Protocol, cast

import numpy as np
import zarr
from zarr.codecs import BytesCodec, ZstdCodec

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs.contents import Array
from clip2latent_kedro.reading import MISSHAPEN, check_tree

_MAX_SHARDS = 1 << 17
_MAX_SHARD_BYTES = 1 << 34
_UNWRITTEN = -1


class Shard(Protocol):
    """Consecutive rows, saved together; see `pairs.PairShard`."""

    @property
    def index(self) -> int:
        """Position among the shards."""
        ...

    @property
    def total(self) -> int:
        """Rows of the whole store."""
        ...

    @property
    def arrays(self) -> Mapping[str, Array]:
        """By name, with one row for each row of the shard."""
        ...

    @property
    def recipe(self) -> Mapping[str, Any]:
        """What makes the store."""
        ...


@dataclass(frozen=True)
class Layout:
    """What a store holds, and where its recipe says how much.

    Attributes:
        arrays: Number of axes, and kind of the numbers, by the name of an array.
        optional: Those arrays that may be missing.
        total: Name in the recipe of the number of rows.
        shard_rows: Name in the recipe of the rows of a shard.
    """

    arrays: Mapping[str, tuple[int, str]]
    total: str
    shard_rows: str
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ShardStore:
    """An open store.

    Attributes:
        arrays: By name (see `Layout`).
        checksum: CRC-32 of each shard, int64 [num_shards]; -1 where unwritten.
        recipe: What makes it.
    """

    arrays: Mapping[str, zarr.Array[Any]]
    checksum: zarr.Array[Any]
    recipe: Mapping[str, Any]

    @property
    def num_shards(self) -> int:
        """Number of shards, written or not."""
        return int(self.checksum.shape[0])

    def rows(self, index: int) -> slice:
        """Return the rows of a shard."""
        array = next(iter(self.arrays.values()))
        size = array.chunks[0]
        return slice(index * size, min((index + 1) * size, array.shape[0]))

    def read_shard(self, index: int) -> dict[str, Array] | None:
        """Return the arrays of a shard, or None if it is unwritten or damaged."""
        rows = self.rows(index)
        try:
            expected = int(np.asarray(self.checksum[index]))
            if expected == _UNWRITTEN:
                return None
            arrays = {name: np.asarray(a[rows]) for name, a in self.arrays.items()}
        except (*MISSHAPEN, OSError):  # from bytes that no codec can read
            return None
        return arrays if _checksum(index, arrays) == expected else None

    def read_shards(self) -> Iterator[tuple[int, dict[str, Array] | None]]:
        """Yield each index with what `read_shard` returns."""
        for index in range(self.num_shards):
            yield index, self.read_shard(index)

    def write_shard(self, shard: Shard) -> None:
        """Write the arrays of a shard, then its checksum."""
        self.checksum[shard.index] = _UNWRITTEN
        rows = self.rows(shard.index)
        for name, array in shard.arrays.items():
            self.arrays[name][rows] = array
        self.checksum[shard.index] = _checksum(shard.index, shard.arrays)


def open_store(
    url: str, layout: Layout, mode: Literal["r", "r+"], options: dict[str, Any] | None
) -> ShardStore | None:
    """Return a store, or None if there is none (or none fully laid out).

    Args:
        url: Local folder or fsspec URL.
        layout: What it must hold.
        mode: `r` to read, `r+` to write shards.
        options: For the fsspec file system; None for a local folder.

    Raises:
        InputError: If metadata are damaged.
    """
    try:
        # Only version 3: the filters of version 2 can be programs.
        group = zarr.open_group(url, mode=mode, zarr_format=3, storage_options=options)
        found = cast(dict[str, Any], check_tree(group.attrs.asdict()))
        if "recipe" not in found:
            return None
        arrays = {
            name: cast(zarr.Array[Any], group[name])
            for name in (*found["arrays"], "checksum")
        }
        checksum = arrays.pop("checksum")
        _check_layout(arrays, checksum, found["recipe"], layout)
    except FileNotFoundError:
        return None
    except MISSHAPEN as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:300]
        msg = f"The metadata of the store at {url} are damaged ({reason})."
        raise InputError(msg) from error
    return ShardStore(arrays, checksum, found["recipe"])


def create_store(
    url: str, layout: Layout, shard: Shard, options: dict[str, Any] | None
) -> ShardStore:
    """Return an empty store laid out for such shards, in place of any other.

    Args:
        url: Local folder or fsspec URL.
        layout: What it holds.
        shard: Any shard; its recipe holds `layout.shard_rows`.
        options: For the fsspec file system; None for a local folder.
    """
    _withdraw_recipe(url, options)
    group = zarr.open_group(url, mode="w", zarr_format=3, storage_options=options)
    size = min(shard.recipe[layout.shard_rows], shard.total)
    arrays: dict[str, zarr.Array[Any]] = {
        name: group.create_array(
            name,
            shape=(shard.total, *array.shape[1:]),
            chunks=(size, *array.shape[1:]),
            dtype=array.dtype,
            # Noise-like numbers do not shrink; images do.
            compressors=ZstdCodec(level=1) if array.dtype == np.uint8 else None,
        )
        for name, array in shard.arrays.items()
    }
    checksum: zarr.Array[Any] = group.create_array(
        "checksum",
        shape=(-(-shard.total // size),),
        chunks=(1,),
        dtype="int64",
        fill_value=_UNWRITTEN,
        compressors=None,
    )
    group.attrs.put({"arrays": sorted(arrays), "recipe": dict(shard.recipe)})
    return ShardStore(arrays, checksum, shard.recipe)


def _withdraw_recipe(url: str, options: dict[str, Any] | None) -> None:
    """Make a store none, so that it is not taken for one while it is being deleted."""
    try:
        group = zarr.open_group(url, mode="r+", storage_options=options)
    except (FileNotFoundError, *MISSHAPEN):
        return
    group.attrs.put({})


def _check_layout(
    arrays: Mapping[str, zarr.Array[Any]],
    checksum: zarr.Array[Any],
    recipe: Any,
    layout: Layout,
) -> None:
    """Check that metadata are those of `create_store`, before anything is read.

    Raises:
        ValueError: If they are not, or claim more than can be.
    """
    for name, array in {**arrays, "checksum": checksum}.items():
        codecs = getattr(array.metadata, "codecs", ())
        if not all(isinstance(codec, BytesCodec | ZstdCodec) for codec in codecs):
            msg = f"{name} is stored by {[type(codec).__name__ for codec in codecs]}"
            raise ValueError(msg)
    needed = layout.arrays.keys() - layout.optional
    if not isinstance(recipe, dict) or not needed <= arrays.keys():
        msg = f"they lay out {sorted(arrays)} by a recipe of {type(recipe).__name__}"
        raise ValueError(msg)
    if not all(isinstance(recipe[role], str) for role in ("generator", "encoder")):
        msg = "the recipe does not name the generator and the encoder"
        raise ValueError(msg)
    total = recipe[layout.total]
    size = min(recipe[layout.shard_rows], total)
    num_shards = -(-total // size)
    if min(total, size) < 1 or num_shards > _MAX_SHARDS:
        msg = f"the recipe has {total} rows in shards of {size}"
        raise ValueError(msg)
    num_bytes = 0
    for name, array in arrays.items():
        axes, kind = layout.arrays[name]
        chunk = (size, *array.shape[1:])
        is_right = array.shape[:1] == (total,) and array.ndim == axes
        if not is_right or tuple(array.chunks) != chunk or array.dtype.kind != kind:
            msg = f"{name} is {array.dtype} {array.shape} in chunks of {array.chunks}"
            raise ValueError(msg)
        num_bytes += prod(chunk) * array.dtype.itemsize
    is_right = checksum.shape == (num_shards,) and checksum.dtype == np.int64
    if not is_right or tuple(checksum.chunks) != (1,) or num_bytes > _MAX_SHARD_BYTES:
        msg = f"there are {checksum.shape} checksums, of shards of {num_bytes} bytes"
        raise ValueError(msg)


def _checksum(index: int, arrays: Mapping[str, Array]) -> int:
    """Return the CRC-32 of a shard; arrays that changed places do not pass."""
    value = 0
    for name in sorted(arrays):
        value = zlib.crc32(f"{name}:{index}".encode(), value)
        value = zlib.crc32(np.ascontiguousarray(arrays[name]).data, value)
    return value
