"""Checkpoints of rosinality's stylegan2-pytorch, brought to NVIDIA's names.

The same numbers in other shapes: weights of convolutions have a leading axis, noise
and biases of colours trailing ones. Source: rosinality/stylegan2-pytorch, model.py and
convert_weight.py. Checkpoints of its own training have no mean of w (`latent_avg`).
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from clip2latent_kedro.generators.files.architecture import (
    Record,
    StyleGANWeights,
    stylegan2_weights_of,
)
from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.torch_tensors import TensorRecord
from clip2latent_kedro.generators.files.unpickling import Budget

_MAX_TENSORS = 10_000


def read_checkpoint(checkpoint: Mapping[str, Any], budget: Budget) -> StyleGANWeights:
    """Return the averaged generator of a checkpoint.

    Args:
        checkpoint: With `g_ema`, a state dict, and maybe `latent_avg`.
        budget: Of the whole file.

    Raises:
        Refusal: If it is no StyleGAN2 generator.
    """
    state = checkpoint["g_ema"]
    if not isinstance(state, dict) or len(state) > _MAX_TENSORS:
        msg = "has a g_ema that is no state dict"
        raise Refusal(msg)
    tensors: dict[str, Tensor] = {}
    kernels: list[Tensor] = []
    for path, value in state.items():
        if not isinstance(path, str) or not isinstance(value, TensorRecord):
            msg = f"has the entry {str(path)[:80]!r} in g_ema, which is no tensor"
            raise Refusal(msg)
        tensor = value.read(budget)
        if path.endswith(".kernel"):
            kernels.append(tensor)
            continue
        name, tensor = _rename(path.removeprefix("module."), tensor)
        tensors[name] = tensor
    mean = checkpoint.get("latent_avg")
    if isinstance(mean, TensorRecord):
        tensors["mapping.w_avg"] = mean.read(budget).flatten()
    return stylegan2_weights_of(tensors, Record(resample_filter=_taps(kernels)))


def _rename(path: str, value: Tensor) -> tuple[str, Tensor]:
    """Return a tensor in NVIDIA's name and shape."""
    for pattern, convert in _RULES:
        if match := re.fullmatch(pattern, path):
            name, tensor = convert(value, *match.groups())
            return name, tensor.contiguous()
    msg = f"has the tensor {path[:80]!r} in g_ema, which StyleGAN2 does not have"
    raise Refusal(msg)


def _taps(kernels: list[Tensor]) -> list[float]:
    """Return the coefficients of the one filter, stored with the gain 4."""
    shapes = {tuple(kernel.shape) for kernel in kernels}
    if not kernels or any(len(shape) != 2 for shape in shapes) or len(shapes) > 1:
        msg = "has a g_ema without one filter for all up-sampling"
        raise Refusal(msg)
    if any(not kernel.equal(kernels[0]) for kernel in kernels):
        msg = "has a g_ema with filters that differ"
        raise Refusal(msg)
    factor = kernels[0].sum(1)
    taps: list[float] = (factor / factor.abs().min()).tolist()
    return [float(round(tap)) if abs(tap - round(tap)) < 1e-4 else tap for tap in taps]


def _block(index: str) -> tuple[int, str]:
    """Return resolution and layer of the index-th convolution after the first."""
    number = int(index)
    return 8 << (number // 2), "conv1" if number % 2 else "conv0"


def _layer(value: Tensor, resolution: int, layer: str, part: str) -> tuple[str, Tensor]:
    name = f"synthesis.b{resolution}.{layer}."
    if part == "noise.weight":
        return f"{name}noise_strength", value.reshape(())
    if part == "conv.weight":
        return f"{name}weight", value.squeeze(0)
    if part.startswith("conv.modulation."):
        return f"{name}affine.{part.rpartition('.')[2]}", value
    return f"{name}bias", value.flatten()


def _noise(value: Tensor, index: str) -> tuple[str, Tensor]:
    resolution, layer = _block(str(int(index) - 1)) if int(index) else (4, "conv1")
    return f"synthesis.b{resolution}.{layer}.noise_const", value.reshape(
        value.shape[-2:]
    )


_CONV = r"(conv\.weight|conv\.modulation\.\w+|noise\.weight|activate\.bias)"
_COLOUR = r"(conv\.weight|conv\.modulation\.\w+|bias)"
_RULES: tuple[tuple[str, Any], ...] = (
    (
        r"style\.(\d{1,3})\.(weight|bias)",
        lambda v, i, part: (f"mapping.fc{int(i) - 1}.{part}", v),
    ),
    (r"input\.input", lambda v: ("synthesis.b4.const", v.squeeze(0))),
    (rf"conv1\.{_CONV}", lambda v, part: _layer(v, 4, "conv1", part)),
    (rf"to_rgb1\.{_COLOUR}", lambda v, part: _layer(v, 4, "torgb", part)),
    (rf"convs\.(\d{{1,2}})\.{_CONV}", lambda v, i, part: _layer(v, *_block(i), part)),
    (
        rf"to_rgbs\.(\d{{1,2}})\.{_COLOUR}",
        lambda v, i, part: _layer(v, 8 << int(i), "torgb", part),
    ),
    (r"noises\.noise_(\d{1,2})", _noise),
)
