"""Weights of dlib's networks, read from its own files.

dlib writes a network from the picture on: for each layer with weights its name, and at
once, or after two counts, all its numbers as one tensor, little-endian float32. Whole
numbers are written as one byte, how many bytes follow (its highest bit is the sign),
and these. What else a file holds, the shapes of layers among it, is passed over: they
are those of the network that is built to take the numbers.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.reading import check_size

_LAYER = re.compile(rb"\x01[\x04-\x10](?P<kind>con|affine|fc)_\d?(?=[\x01-\x08])")
_COUNTS = {b"con": 0, b"affine": 0, b"fc": 2}  # before the tensor
_TENSOR_VERSION = 2
_NUM_SIZES = 4  # of a tensor
_MOST = 1 << 28  # numbers in one tensor


def read_dlib(path: Path, *, expected: str) -> list[tuple[str, Tensor]]:
    """Return kind and numbers, [num_weights], of each layer with weights, in order.

    Args:
        path: A file that dlib's `serialize` wrote of a network.
        expected: What it must be, for the message.

    Returns:
        Kinds are `con`, the filters and then the biases; `affine`, the factors and
        then the shifts; `fc`, [num_inputs, num_outputs].

    Raises:
        InputError: If it is no such file, or a number is not finite.
    """
    check_size(path, expected)
    data = path.read_bytes()
    layers, position = [], 0
    while matched := _LAYER.search(data, position):
        kind = matched["kind"]
        try:
            values, position = _read_tensor(data, matched.end(), _COUNTS[kind])
        except ValueError as error:
            msg = f"{path} must be {expected}, but {error}. Get it again."
            raise InputError(msg) from error
        layers.append((kind.decode(), values))
    if not layers:
        msg = f"{path} must be {expected}, but no layer is in it. Give another file."
        raise InputError(msg)
    return layers


def _read_tensor(data: bytes, position: int, num_counts: int) -> tuple[Tensor, int]:
    """Return a tensor's numbers and where it ends."""
    *_, version, n, k, h, w = numbers = list(
        _read_numbers(data, position, num_counts + 1 + _NUM_SIZES)
    )
    start = position + sum(size for _, size in numbers)
    count = n[0] * k[0] * h[0] * w[0]
    if version[0] != _TENSOR_VERSION or not 0 < count <= _MOST:
        msg = f"there is no tensor at byte {position}"
        raise ValueError(msg)
    end = start + 4 * count
    if end > len(data):
        msg = f"it ends within the tensor at byte {position}"
        raise ValueError(msg)
    values = np.frombuffer(data, "<f4", count, start).astype(np.float32)
    if not np.isfinite(values).all():
        msg = f"the tensor at byte {position} has numbers that are not finite"
        raise ValueError(msg)
    return torch.from_numpy(values), end


def _read_numbers(data: bytes, position: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield whole numbers, 0 or more, each with the bytes that it takes."""
    for _ in range(count):
        size = data[position] if position < len(data) else 0
        if not 1 <= size <= 8 or position + size >= len(data):
            msg = f"there is no number at byte {position}"
            raise ValueError(msg)
        yield (
            int.from_bytes(data[position + 1 : position + 1 + size], "little"),
            size + 1,
        )
        position += size + 1
