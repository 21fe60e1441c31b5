"""Directions in files: those that people publish, and the project's own.

A published direction is an array [w_dim], [1, w_dim] or [num_ws, w_dim], with one row a
layer; a leading axis of length 1 may stand before the last two. It comes alone, in a
`.npy` file (InterFaceGAN's boundaries, [1, w_dim]) or a `.pt` one (clip2latent's and
encoder4editing's), or with others by name, in `.npz`, `.safetensors` or a dict in a
`.pt`. Ours are a safetensors file of many, whose metadata tell how each was made.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.editing.directions.direction import (
    Destination,
    Direction,
)
from clip2latent_kedro.editing.layers import check_layers
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.reading import (
    MISSHAPEN,
    Refusal,
    TensorRecord,
    first_line,
    parse_json,
    read_foreign,
    read_json,
    read_npy,
    read_npz,
    read_weights,
    tensors_of,
)

ENDINGS = (".npy", ".npz", ".pt", ".pth", ".safetensors")
KIND = "directions"
_MEND = "Make it again with kedro run --pipeline=directions."
_ALONE = "arr_0"  # what NumPy calls an array that was given no name
_MAX_DIRECTIONS = 10_000
_EXPECTED = "a tensor, or a dict of tensors by name, as torch.save stores it"


def load_directions(
    path: Path | None, options: Mapping[str, Any]
) -> dict[str, Direction]:
    """Return the directions in a file or a folder of files, by name.

    Args:
        path: A file of one of `ENDINGS`, or a folder, of which all such files are read.
        options: There are none.

    Raises:
        InputError: If there is none, one cannot be read, or two have the same name.
    """
    if options:
        msg = f"Directions have no options {sorted(options)}. Remove them."
        raise InputError(msg)
    if path is None:
        msg = "Directions are expected in a file or a folder, got no path."
        raise InputError(msg)
    if not path.is_dir():
        return read_directions(path)
    files = [one for one in sorted(path.iterdir()) if one.suffix.lower() in ENDINGS]
    if not files:
        msg = (
            f"{path} must hold files of directions, {', '.join(ENDINGS)}, got a folder "
            f"without any. Put one there."
        )
        raise InputError(msg)
    found: dict[str, Direction] = {}
    for file in files:
        for name, direction in read_directions(file).items():
            if name in found:
                msg = (
                    f"{path} must hold one direction of each name, got two of "
                    f"{name[:80]!r}, the second in {file.name}. Rename one."
                )
                raise InputError(msg)
            found[name] = direction
    return found


def read_directions(path: Path) -> dict[str, Direction]:
    """Return the directions in a file, by name.

    One that is alone and nameless is called as the file is.

    Raises:
        InputError: If the file is not there, or holds something else.
    """
    arrays, header = _read_arrays(path)
    if header is not None:
        return _unpack(path, arrays, header)
    return {
        name: Direction(name, as_offset(array, f"{name[:80]} in {path}"))
        for name, array in arrays.items()
    }


def read_one_direction(path: Path, num_ws: int) -> Tensor | np.ndarray:
    """Return the array of the only direction in a file, of whatever shape it is.

    Args:
        path: See `read_directions`.
        num_ws: Rows of w; those that a direction of ours does not move are zero.

    Raises:
        InputError: If the file is not there, or holds something else or several.
    """
    arrays, header = _read_arrays(path)
    names = list(arrays)
    if header is not None:
        directions = _unpack(path, arrays, header)
        names = list(directions)
    if len(names) != 1:
        shown = ", ".join(name[:80] for name in names[:10])
        msg = f"{path} must hold one direction, got {len(names)}: {shown}. Name one."
        raise InputError(msg)
    if header is None:
        array: Tensor | np.ndarray = arrays[names[0]]
        return array
    direction = directions[names[0]]
    if direction.layers is None:
        return direction.offset
    check_layers(direction.layers, num_ws, f"The layers of {names[0][:80]}")
    moved = torch.zeros(num_ws, direction.offset.shape[1])
    rows = list(direction.layers)
    moved[rows] = direction.offset.expand_as(moved)[rows]
    return moved


def as_offset(array: Tensor | np.ndarray, name: str) -> Tensor:
    """Return the offset, [1 or num_ws, w_dim], of what is published as a direction.

    Args:
        array: [w_dim], [rows, w_dim] or [1, rows, w_dim].
        name: For messages.

    Raises:
        InputError: If it has another shape, or holds something other than finite
            numbers.
    """
    shape = list(array.shape)
    is_alone = len(shape) < 3 or shape[0] == 1
    if not 1 <= len(shape) <= 3 or not is_alone or 0 in shape:
        msg = (
            f"{name} must be a direction of the shape [w_dim], [1, w_dim] or [num_ws, "
            f"w_dim], got {shape}. Store each direction under a name of its own."
        )
        raise InputError(msg)
    offset = as_numbers(array, name)
    return offset.reshape(-1, shape[-1])


def as_numbers(array: Tensor | np.ndarray, name: str) -> Tensor:
    """Return an array as a float32 tensor on the CPU.

    Args:
        array: Of any shape.
        name: For the message.

    Raises:
        InputError: If it holds something other than finite numbers.
    """
    if isinstance(array, np.ndarray) and array.dtype.kind in "fiu":
        array = torch.from_numpy(array.astype(np.float32))
    if (
        not isinstance(array, Tensor)
        or array.is_complex()
        or not array.float().isfinite().all()
    ):
        msg = f"{name} must hold finite numbers, got {array.dtype} that are not."
        raise InputError(msg)
    return array.detach().float().cpu()


def pack_directions(
    directions: Mapping[str, Direction],
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata of a safetensors file, as `read_directions` reads it.

    Tensors are named `name/offset`, and with a destination also `name/basis`,
    `name/reader` and `name/goal`.
    """
    tensors: dict[str, Tensor] = {}
    of_each: dict[str, Any] = {}
    for name, one in directions.items():
        tensors |= {f"{name}/{part}": value for part, value in _parts(one)}
        layers = None if one.layers is None else list(one.layers)
        of_each[name] = {"made_with": dict(one.made_with), "layers": layers}
    header = {"kind": KIND, "directions": of_each}
    dense = {
        name: value.float().contiguous().clone() for name, value in tensors.items()
    }
    return dense, {"config": json.dumps(header, sort_keys=True)}


def _parts(direction: Direction) -> Iterator[tuple[str, Tensor]]:
    yield "offset", direction.offset
    if direction.destination is not None:
        yield from vars(direction.destination).items()


def _read_arrays(path: Path) -> tuple[Mapping[str, Any], str | None]:
    """Return the arrays in a file by name, and the header of one of ours."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        msg = (
            f"{path} must be a file of directions, {', '.join(ENDINGS)}, got the "
            f"ending {ending!r}. Save it as one of these."
        )
        raise InputError(msg)
    arrays: Mapping[str, Any]
    if ending == ".safetensors":
        arrays, metadata = read_weights(path)
        if "config" in metadata:
            return arrays, metadata["config"]
    elif ending == ".npy":
        arrays = {"": read_npy(path)}
    elif ending == ".npz":
        arrays = read_npz(path, str(path))
    else:
        arrays = read_foreign(path, _tensors, expected=_EXPECTED)
    if not 0 < len(arrays) <= _MAX_DIRECTIONS:
        msg = (
            f"{path} must hold 1 to {_MAX_DIRECTIONS} directions, got {len(arrays)}. "
            f"Get it again."
        )
        raise InputError(msg)
    if len(arrays) == 1 and set(arrays) <= {"", _ALONE}:
        arrays = {path.stem: next(iter(arrays.values()))}
    return arrays, None


def _unpack(
    path: Path, tensors: Mapping[str, Tensor], config: str
) -> dict[str, Direction]:
    """Return the directions in a file of ours."""
    try:
        header = parse_json(config)
        if header["kind"] != KIND:
            raise ValueError(header["kind"])
        seconds = _read_seconds(path)
        return {
            name: _unpack_one(path, name, of_one, tensors, seconds.get(name, {}))
            for name, of_one in header["directions"].items()
        }
    except MISSHAPEN as error:
        msg = (
            f"{path} must hold directions as the pipeline directions writes them, got "
            f"{first_line(error)!r}. {_MEND}"
        )
        raise InputError(msg) from error


def _unpack_one(
    path: Path,
    name: str,
    described: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    seconds: Mapping[str, float],
) -> Direction:
    parts = {
        part: as_numbers(tensors[f"{name}/{part}"], f"{name}/{part}")
        for part in ("offset", "basis", "reader", "goal")
        if part == "offset" or f"{name}/{part}" in tensors
    }
    offset = as_offset(parts.pop("offset"), f"{name[:80]} in {path}")
    layers = described["layers"]
    return Direction(
        name,
        offset,
        dict(described["made_with"]),
        None if layers is None else [int(layer) for layer in layers],
        _destination(parts, offset) if parts else None,
        seconds,
    )


def _destination(parts: Mapping[str, Tensor], offset: Tensor) -> Destination:
    destination = Destination(**parts)
    rank, w_dim = destination.basis.shape
    if destination.reader.shape != (rank, w_dim) or destination.goal.shape != (rank,):
        msg = "a destination whose parts differ in shape"
        raise ValueError(msg)
    if offset.shape[1] != w_dim:
        msg = "a destination that is not of the offset's w"
        raise ValueError(msg)
    return destination


def _read_seconds(path: Path) -> dict[str, dict[str, float]]:
    """Return what learning took, from NAME.json beside the file, by direction.

    The directions say no time themselves: equal ones come to equal files.
    """
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return {}
    found = read_json(beside)
    return {
        name: {"generator": float(found["sampling"]), "target": float(seconds)}
        for name, seconds in found["learning"].items()
    }


def _tensors(content: Any) -> dict[str, Tensor]:
    """Return the tensors of a torch file by name; "" for one that is alone."""
    if isinstance(content, TensorRecord):
        return {"": content.read()}
    if not isinstance(content, dict):
        raise Refusal(f"holds an object of type {type(content).__name__}")
    return tensors_of(content, "of directions")
