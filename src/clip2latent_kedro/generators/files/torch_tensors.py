"""PyTorch tensors in pickles: descriptions, checked, then copied out of the file.

Pickle format: torch._utils (`_rebuild_tensor_v2` and its like) and the typed storages
of torch.storage, which are the same from PyTorch 0.4 to 2.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.generators.files.numpy_arrays import checked_sizes
from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.unpickling import Budget, constructors

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


@dataclass(frozen=True)
class StorageType:
    """A typed storage's class, by its dtype."""

    dtype: torch.dtype


@dataclass
class Storage:
    """Numbers of one dtype, in a row.

    Attributes:
        dtype: Of each.
        num: How many.
        data: Their bytes in the file; None until they are found there.
    """

    dtype: torch.dtype
    num: int
    data: memoryview | None = None

    def find(self, data: memoryview) -> None:
        """Take the bytes, if they are as many as the numbers need."""
        if len(data) != self.num * self.dtype.itemsize:
            msg = (
                f"has a storage of {self.num} numbers of {self.dtype.itemsize} bytes, "
                f"with {len(data)} bytes"
            )
            raise Refusal(msg)
        self.data = data


@dataclass(frozen=True)
class TensorRecord:
    """A tensor as a view of a storage, checked to lie within it.

    Attributes:
        storage: Where the numbers are.
        offset: Of the first.
        sizes: Its shape.
        strides: Steps between neighbours along each axis, in numbers.
    """

    storage: Storage
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self, budget: Budget) -> Tensor:
        """Return the tensor itself, float32, contiguous."""
        num = prod(self.sizes)
        if num == 0 or self.storage.data is None:
            msg = f"has a tensor of shape {list(self.sizes)} without numbers"
            raise Refusal(msg)
        steps = zip(self.sizes, self.strides, strict=True)
        extent = 1 + sum((size - 1) * stride for size, stride in steps)
        width = self.storage.dtype.itemsize
        budget.take_bytes(extent * width + num * torch.float32.itemsize)
        first = self.offset * width
        raw = bytearray(self.storage.data[first : first + extent * width])
        numbers = torch.frombuffer(raw, dtype=self.storage.dtype)
        tensor = torch.as_strided(numbers, self.sizes, self.strides)
        return tensor.to(torch.float32).contiguous()


def storage_globals() -> dict[str, Any]:
    """Return the names of the storages' classes."""
    return {f"torch.{name}Storage": StorageType(t) for name, t in _DTYPES.items()}


def tensor_globals() -> dict[str, Any]:
    """Return the names by which tensors are pickled, and what stands beside them."""
    dtypes = {f"torch.{str(t).removeprefix('torch.')}": t for t in _DTYPES.values()}
    return {
        **dtypes,
        **constructors(
            {
                "torch._utils._rebuild_tensor": _tensor,
                "torch._utils._rebuild_tensor_v2": _tensor,
                "torch._utils._rebuild_parameter": _parameter,
                "torch._utils._rebuild_parameter_with_state": _parameter,
                "torch.device": lambda *_: None,
            }
        ),
    }


def typed_storage(reference: Any, known: dict[str, Storage]) -> Storage:
    """Return the storage that a pickle refers to, making it at the first reference.

    Args:
        reference: ("storage", class, key, device, how many numbers[, view]).
        known: Storages of this pickle, by key; a new one is added.
    """
    if not isinstance(reference, tuple) or len(reference) not in (5, 6):
        msg = "refers to data outside the pickle that are no storage"
        raise Refusal(msg)
    word, kind, key, _, num = reference[:5]
    if word != "storage" or not isinstance(kind, StorageType):
        msg = "refers to data outside the pickle that are no typed storage"
        raise Refusal(msg)
    if len(reference) == 6 and reference[5] is not None:
        msg = "has a storage that is a view of another, as PyTorch wrote before 0.4"
        raise Refusal(msg)
    if not isinstance(key, str):
        msg = "has a storage without a key"
        raise Refusal(msg)
    (num,) = checked_sizes((num,), "size of a storage")
    storage = known.setdefault(key, Storage(kind.dtype, num))
    if (storage.dtype, storage.num) != (kind.dtype, num):
        msg = f"describes the storage {key[:40]!r} in two ways"
        raise Refusal(msg)
    return storage


def _tensor(storage: Any, offset: Any, sizes: Any, strides: Any, *_: Any) -> Any:
    if not isinstance(storage, Storage):
        msg = "has a tensor without a storage"
        raise Refusal(msg)
    (offset,) = checked_sizes((offset,), "offset of a tensor")
    sizes = checked_sizes(sizes, "shape of a tensor")
    strides = checked_sizes(strides, "stride of a tensor")
    if len(sizes) != len(strides):
        msg = f"has a tensor of shape {list(sizes)} and stride {list(strides)}"
        raise Refusal(msg)
    num = prod(sizes)
    steps = zip(sizes, strides, strict=True)
    last = offset + sum((size - 1) * stride for size, stride in steps) if num else 0
    if last >= max(storage.num, 1) or num > storage.num:
        msg = (
            f"has a tensor of shape {list(sizes)}, stride {list(strides)} and offset "
            f"{offset}, which its storage of {storage.num} numbers cannot hold"
        )
        raise Refusal(msg)
    return TensorRecord(storage, offset, sizes, strides)


def _parameter(data: Any, *_: Any) -> TensorRecord:
    if not isinstance(data, TensorRecord):
        msg = "has a parameter without a tensor"
        raise Refusal(msg)
    return data
