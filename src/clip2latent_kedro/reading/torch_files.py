"""What torch.save writes, read without torch.load: tensors and their two containers.

Pickle format: torch._utils (`_rebuild_tensor_v2` and its like) and the typed storages
of torch.storage, which are the same from PyTorch 0.4 to 2. Tensors are descriptions,
checked, then copied out of the file.

The containers are zip and legacy. Legacy, also nested in other pickles as
`torch.storage._load_from_bytes`: five pickles (a magic number, the version, the
writer's system, the object, the keys of storages), then every storage as its size and
its bytes. `_load_from_bytes` itself unpickles whatever it is given, so that a nested
file goes through the same closed list here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.reading.pickled_names import Names, checked_sizes
from clip2latent_kedro.reading.pickles import Budget, Machine, MappedFile, Refusal
from clip2latent_kedro.reading.zip_archive import read_members

LEGACY_START = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
STORAGE_NAMES: Names = {f"torch.{name}Storage": t for name, t in _DTYPES.items()}


@dataclass
class Storage:
    """Numbers of one dtype, in a row.

    Attributes:
        dtype: Type of each number.
        num: How many.
        data: Their bytes in the file; None until they are found there.
    """

    dtype: torch.dtype
    num: int
    data: memoryview | None = None

    def find(self, data: memoryview) -> None:
        """Take the bytes, if they are as many as the numbers need."""
        if len(data) != self.num * self.dtype.itemsize:
            raise Refusal(
                f"has a storage of {self.num} numbers of {self.dtype.itemsize} bytes, "
                f"with {len(data)} bytes"
            )
        self.data = data


@dataclass(frozen=True)
class TensorRecord:
    """A tensor as a view of a storage, checked to lie within it.

    Attributes:
        storage: Where the numbers are.
        offset: Place of the first number.
        sizes: Its shape.
        strides: Steps between neighbours along each axis, in numbers.
        budget: What the whole file may still take.
    """

    storage: Storage
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    budget: Budget

    def read(self) -> Tensor:
        """Return the tensor itself, float32, contiguous."""
        num = prod(self.sizes)
        if num == 0 or self.storage.data is None:
            raise Refusal(f"has a tensor of shape {list(self.sizes)} without numbers")
        steps = zip(self.sizes, self.strides, strict=True)
        extent = 1 + sum((size - 1) * stride for size, stride in steps)
        width = self.storage.dtype.itemsize
        self.budget.take_bytes(extent * width + num * torch.float32.itemsize)
        first = self.offset * width
        raw = bytearray(self.storage.data[first : first + extent * width])
        numbers = torch.frombuffer(raw, dtype=self.storage.dtype)
        tensor = torch.as_strided(numbers, self.sizes, self.strides)
        return tensor.to(torch.float32).contiguous()


def tensor_names(budget: Budget) -> Names:
    """Return the names by which tensors are pickled, and what stands beside them."""

    def tensor(storage: Any, offset: Any, sizes: Any, strides: Any, *_: Any) -> Any:
        if not isinstance(storage, Storage):
            raise Refusal("has a tensor without a storage")
        (offset,) = checked_sizes((offset,), "offset of a tensor")
        sizes = checked_sizes(sizes, "shape of a tensor")
        strides = checked_sizes(strides, "stride of a tensor")
        if len(sizes) != len(strides):
            raise Refusal(
                f"has a tensor of shape {list(sizes)} and stride {list(strides)}"
            )
        num = prod(sizes)
        steps = zip(sizes, strides, strict=True)
        last = offset + sum((size - 1) * stride for size, stride in steps) if num else 0
        if last >= max(storage.num, 1) or num > storage.num:
            raise Refusal(
                f"has a tensor of shape {list(sizes)}, stride {list(strides)} and "
                f"offset {offset}, which its storage of {storage.num} numbers cannot "
                f"hold"
            )
        return TensorRecord(storage, offset, sizes, strides, budget)

    def parameter(data: Any, *_: Any) -> TensorRecord:
        if not isinstance(data, TensorRecord):
            raise Refusal("has a parameter without a tensor")
        return data

    return {
        **{str(dtype): dtype for dtype in _DTYPES.values()},
        "torch._utils._rebuild_tensor": tensor,
        "torch._utils._rebuild_tensor_v2": tensor,
        "torch._utils._rebuild_parameter": parameter,
        "torch._utils._rebuild_parameter_with_state": parameter,
        "torch.device": lambda *_: None,
    }


def nested_storage_name(budget: Budget) -> Names:
    """Return the name by which a storage is nested in another pickle."""

    def load(blob: Any) -> Storage:
        if not isinstance(blob, bytes | memoryview):
            raise Refusal("has a torch storage that is no bytes")
        storage = read_legacy(memoryview(blob), STORAGE_NAMES, budget)
        if not isinstance(storage, Storage):
            raise Refusal("has nested torch data that are no storage")
        return storage

    return {"torch.storage._load_from_bytes": load}


def read_legacy(data: memoryview, names: Mapping[str, Any], budget: Budget) -> Any:
    """Return the object in torch's legacy container.

    Args:
        data: The container.
        names: The closed list of the object's pickle; the others have none.
        budget: What the whole file may still take.

    Raises:
        Refusal: If it is not such a container, or the object is refused.
    """
    file = MappedFile(data)
    storages: dict[str, Storage] = {}

    def load(listed: Mapping[str, Any]) -> Any:
        return Machine(file, listed, budget, lambda r: _storage(r, storages)).load()

    if load({}) != _MAGIC or load({}) != _PROTOCOL:
        raise Refusal("has torch data that do not begin as torch.save begins them")
    system = load({})
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refusal("was written on a big-endian machine, or does not say on which")
    result = load(names)
    keys = load({})
    is_list = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not is_list or set(keys) != set(storages):
        raise Refusal("has torch data without a list of its storages")
    for key in keys:
        storage, start = storages[key], file.position + 8
        num = int.from_bytes(data[file.position : start], "little", signed=True)
        if num != storage.num:
            raise Refusal(
                f"has a storage of {storage.num} numbers that is stored as {num}"
            )
        file.position = start + num * storage.dtype.itemsize
        storage.find(data[start : file.position])
    return result


def read_zip(data: memoryview, names: Mapping[str, Any], budget: Budget) -> Any:
    """Return the object in torch's zip container; otherwise as `read_legacy`."""
    members = read_members(data)
    pickles = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise Refusal("is a zip archive without the one data.pkl that torch.save makes")
    folder = pickles[0].removesuffix("data.pkl")
    if bytes(members.get(f"{folder}byteorder", b"little")[:8]) != b"little":
        raise Refusal("was written on a big-endian machine")
    storages: dict[str, Storage] = {}
    file = MappedFile(members[pickles[0]])
    result = Machine(file, names, budget, lambda r: _storage(r, storages)).load()
    for key, storage in storages.items():
        if f"{folder}data/{key}" not in members:
            raise Refusal(f"lacks the storage {key[:40]!r}")
        storage.find(members[f"{folder}data/{key}"])
    return result


def _storage(reference: Any, known: dict[str, Storage]) -> Storage:
    """Return the storage that a pickle refers to, making it at the first reference.

    Args:
        reference: ("storage", class, key, device, how many numbers[, view]).
        known: Storages of this pickle, by key; a new one is added.
    """
    if not isinstance(reference, tuple) or len(reference) not in (5, 6):
        raise Refusal("refers to data outside the pickle that are no storage")
    word, dtype, key, _, num = reference[:5]
    if word != "storage" or not isinstance(dtype, torch.dtype):
        raise Refusal("refers to data outside the pickle that are no typed storage")
    if len(reference) == 6 and reference[5] is not None:
        raise Refusal("has a storage that is a view, as PyTorch wrote before 0.4")
    if not isinstance(key, str):
        raise Refusal("has a storage without a key")
    (num,) = checked_sizes((num,), "size of a storage")
    storage = known.setdefault(key, Storage(dtype, num))
    if (storage.dtype, storage.num) != (dtype, num):
        raise Refusal(f"describes the storage {key[:40]!r} in two ways")
    return storage
