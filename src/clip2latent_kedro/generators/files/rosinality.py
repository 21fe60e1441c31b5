"""Checkpoints of rosinality's stylegan2-pytorch, brought to NVIDIA's names.

The same numbers in other shapes: weights of convolutions have a leading axis, noise
and biases of colours trailing ones. Source: rosinality/stylegan2-pytorch, model.py and
convert_weight.py. Checkpoints of its own training have no mean of w (`latent_avg`).
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from clip2latent_kedro.generators.files.architecture import (
    Rules,
    StyleGANWeights,
    rename_tensors,
    stylegan2_weights,
)
from clip2latent_kedro.reading import Refusal, TensorRecord, tensors_of


def convert_checkpoint(checkpoint: Mapping[str, Any]) -> StyleGANWeights:
    """Return the averaged generator of a checkpoint.

    Args:
        checkpoint: With `g_ema`, a state dict, and maybe `latent_avg`.

    Raises:
        Refusal: If it is no StyleGAN2 generator.
    """
    state = {
        name.removeprefix("module."): tensor
        for name, tensor in tensors_of(checkpoint["g_ema"], "in g_ema").items()
    }
    kernels = [state.pop(name) for name in list(state) if name.endswith(".kernel")]
    tensors = rename_tensors(state, _RULES)
    mean = checkpoint.get("latent_avg")
    if isinstance(mean, TensorRecord):
        tensors["mapping.w_avg"] = mean.read().flatten()
    return stylegan2_weights(tensors, {"resample_filter": _taps(kernels)})


def _taps(kernels: list[Tensor]) -> list[float]:
    """Return the coefficients of the one filter, stored with the gain 4."""
    shapes = {tuple(kernel.shape) for kernel in kernels}
    if not kernels or any(len(shape) != 2 for shape in shapes) or len(shapes) > 1:
        raise Refusal("has a g_ema without one filter for all up-sampling")
    if any(not kernel.equal(kernels[0]) for kernel in kernels):
        raise Refusal("has a g_ema with filters that differ")
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
    name = f"synthesis.b{resolution}.{layer}.noise_const"
    return name, value.reshape(value.shape[-2:])


_CONV = r"(conv\.weight|conv\.modulation\.\w+|noise\.weight|activate\.bias)"
_COLOUR = r"(conv\.weight|conv\.modulation\.\w+|bias)"
_RULES: Rules = (
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
