"""Stored latents as people bring them, read as w of a generator.

Projectors write `projected_w.npz` (NVIDIA: `w`, [1, num_ws, w_dim]), `.pt` (rosinality
and encoders: a tensor, or `latent` and `latents` in a mapping), `.npy` and safetensors;
some with one w for all layers, some with one for each.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Generator, StyledGenerator
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.reading import (
    ArrayRecord,
    Refusal,
    TensorRecord,
    read_foreign,
    read_npy,
    read_npz,
    read_weights,
)

LATENT_ENDINGS = (".npy", ".npz", ".pt", ".pth", ".safetensors")
W, STYLE_OFFSET = "w", "style_offset"
_NAMES = (W, "w_plus", "latent", "latents", "projected_w", "ws")  # first ones first
_EXPECTED = "a w in .npy, .npz, .pt or .safetensors"


def read_latents(path: str | Path, generator: Generator) -> Latents:
    """Return the latents in a file, for every layer of a generator.

    Args:
        path: `.npy` or a `.pt` with one array; or `.npz`, `.safetensors` or a `.pt`
            with named ones, of which that is taken that is named `w` (or `latent`,
            `latents`, `ws`, `projected_w`, `w_plus`), or the only one. An array has
            the shape [w_dim], [num_ws, w_dim], [n, w_dim], [n, 1, w_dim] or
            [n, num_ws, w_dim]. Of [num_ws, w_dim] and [n, w_dim], where both may be
            meant, it is the first. Beside w there may be `style_offset`,
            [n, num_channels].
        generator: Whose w they are.

    Returns:
        Float32, w [n, num_ws, w_dim], on the CPU.

    Raises:
        InputError: If the file is missing, is none of these, or does not fit.
    """
    path = Path(path)
    arrays = _read_arrays(path)
    name = _choose(arrays, path)
    w = _to_layers(arrays[name], generator, path)
    offset = arrays.get(STYLE_OFFSET)
    if offset is not None:
        offset = _check_offset(offset, len(w), generator, path)
    for each in (w, offset):
        if each is not None and not bool(each.isfinite().all()):
            msg = f"The latents in {path} must be finite numbers. Store them again."
            raise InputError(msg)
    return Latents(w, offset)


def latent_arrays(latents: Latents) -> dict[str, np.ndarray]:
    """Return latents as named arrays, as `read_latents` reads them from an `.npz`."""
    arrays = {W: latents.w.detach().cpu().numpy()}
    if latents.style_offset is not None:
        arrays[STYLE_OFFSET] = latents.style_offset.detach().cpu().numpy()
    return arrays


def _read_arrays(path: Path) -> dict[str, Tensor]:
    """Return the arrays of numbers in a file by name; "" for one without a name."""
    ending = path.suffix.lower()
    if ending not in LATENT_ENDINGS:
        msg = (
            f"A stored w must be a file ending in {', '.join(LATENT_ENDINGS)}, got "
            f"{path}. Store it as one of these."
        )
        raise InputError(msg)
    if ending == ".safetensors":
        tensors, _ = read_weights(path, mend="Store it again.")
        return {name: tensor.float() for name, tensor in tensors.items()}
    if ending in (".pt", ".pth"):
        return read_foreign(path, _convert, expected=_EXPECTED)
    arrays = {"": read_npy(path)} if ending == ".npy" else read_npz(path, str(path))
    return {
        name: torch.from_numpy(array.astype(np.float32))
        for name, array in arrays.items()
        if array.dtype.kind in "fiu"
    }


def _convert(content: Any) -> dict[str, Tensor]:
    """Return the numbers of what torch.save has written."""
    if isinstance(content, TensorRecord | ArrayRecord):
        return {"": _numbers(content)}
    if not isinstance(content, Mapping):
        raise Refusal(f"holds an object of type {type(content).__name__}")
    # rosinality's projector stores a mapping for each picture, by its file's name.
    inner = [value for value in content.values() if isinstance(value, Mapping)]
    if len(content) == len(inner) == 1:
        content = inner[0]
    return {
        str(name): _numbers(value)
        for name, value in content.items()
        if isinstance(value, TensorRecord | ArrayRecord)
    }


def _numbers(record: TensorRecord | ArrayRecord) -> Tensor:
    read = record.read()
    return read.float() if isinstance(read, Tensor) else torch.from_numpy(read).float()


def _choose(arrays: Mapping[str, Tensor], path: Path) -> str:
    """Return the name of the array that is w."""
    others = [name for name in arrays if name != STYLE_OFFSET]
    for name in _NAMES:
        if name in arrays:
            return name
    if len(others) == 1:
        return others[0]
    msg = (
        f"{path} must hold one array, or one named {W}, got "
        f"{', '.join(sorted(arrays)[:8]) or 'none'}. Name the latent {W}."
    )
    raise InputError(msg)


def _to_layers(w: Tensor, generator: Generator, path: Path) -> Tensor:
    """Return w for every layer, [n, num_ws, w_dim]."""
    num_ws, w_dim = generator.num_ws, generator.w_dim
    shape = list(w.shape)
    if w.ndim == 1:
        w = w[None, None]
    elif w.ndim == 2:
        w = w[None] if len(w) == num_ws else w[:, None]
    is_known = w.ndim == 3 and w.shape[1] in (1, num_ws) and w.shape[2] == w_dim
    if not is_known or len(w) == 0:
        msg = (
            f"A w of {generator.identity} must have shape [{w_dim}], "
            f"[{num_ws}, {w_dim}], [n, {w_dim}] or [n, {num_ws}, {w_dim}], got {shape} "
            f"in {path}. Give one of this generator."
        )
        raise InputError(msg)
    return w.expand(-1, num_ws, -1).contiguous()


def _check_offset(
    offset: Tensor, num_pictures: int, generator: Generator, path: Path
) -> Tensor:
    channels: Sequence[int] = ()
    if isinstance(generator, StyledGenerator):
        channels = [layer.num_channels for layer in generator.style_layers]
    if not channels or list(offset.shape) != [num_pictures, sum(channels)]:
        msg = (
            f"{STYLE_OFFSET} in {path} must have shape [{num_pictures}, "
            f"{sum(channels)}], the styles of {generator.identity}, got "
            f"{list(offset.shape)}. Give one of this generator."
        )
        raise InputError(msg)
    return offset
