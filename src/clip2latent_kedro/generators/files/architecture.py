"""From a generator's tensors to its architecture, checked key by key.

Whatever shapes can tell is read from them; the rest (gains, clamps, filters) comes
from the file's own record of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.shapes import (
    Shapes,
    check_shapes,
    stylegan2_shapes,
)
from clip2latent_kedro.generators.stylegan2 import (
    MappingNetwork,
    StyleGAN2Config,
    fir_filter,
)
from clip2latent_kedro.runtime import make_generator

Kind = Literal["stylegan2", "stylegan3", "lafite"]

_NUM_Z_FOR_W_AVG = 4096
_UNUSED_FILTER = ".conv1.resample_filter"


@dataclass(frozen=True)
class StyleGANWeights:
    """A generator as a file holds it.

    Attributes:
        kind: Which network it is.
        config: Arguments of the network's configuration, such as `StyleGAN2Config`.
        tensors: Its state dict, float32, in NVIDIA's names.
    """

    kind: Kind
    config: Mapping[str, Any]
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class Record:
    """What a file says of a StyleGAN2 that its tensors' shapes do not.

    Attributes:
        mapping_lr: Learning-rate multiplier of the mapping.
        conv_clamp: Bound on activations; None for none.
        resample_filter: Coefficients of the low-pass filter.
        channel_base: See `StyleGAN2Config`; None if the file does not say.
        channel_max: Likewise.
    """

    mapping_lr: float = 0.01
    conv_clamp: float | None = None
    resample_filter: Sequence[float] = (1, 3, 3, 1)
    channel_base: int | None = None
    channel_max: int | None = None


def stylegan2_weights_of(
    tensors: Mapping[str, Tensor], record: Record
) -> StyleGANWeights:
    """Return a StyleGAN2 with its architecture and a complete state dict.

    Filters that the file leaves out are made, and so is the mean of w.

    Args:
        tensors: In NVIDIA's names.
        record: What the file says beside them.

    Raises:
        Refusal: If they are no StyleGAN2 generator's.
    """
    fields = stylegan2_fields(tensors, record)
    try:
        config = StyleGAN2Config(**fields)
    except InputError as error:
        msg = f"describes a generator that cannot be built ({str(error).rstrip('.')})"
        raise Refusal(msg) from error
    whole = completed(config, stylegan2_shapes(config), tensors)
    return StyleGANWeights("stylegan2", asdict(config), whole)


def completed(
    config: StyleGAN2Config, shapes: Shapes, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return a whole state dict: with filters and mean of w where they are left out.

    The filter of a layer `conv1`, which does not resample, is left unread: NVIDIA's
    classes store the default one there, whatever the generator's is.

    Args:
        config: Of the generator.
        shapes: Of its whole state dict.
        tensors: What the file holds of it.

    Raises:
        Refusal: If they do not have these names and shapes.
    """
    whole = {
        name: fir_filter(config.resample_filter)
        for name in shapes
        if name.endswith("resample_filter")
    }
    whole |= {k: v for k, v in tensors.items() if not k.endswith(_UNUSED_FILTER)}
    has_mean = "mapping.w_avg" in whole
    whole.setdefault("mapping.w_avg", torch.empty(config.w_dim, device="meta"))
    check_shapes(shapes, whole)
    if not has_mean:
        whole["mapping.w_avg"] = _mean_w(config, whole)
    return whole


def stylegan2_fields(tensors: Mapping[str, Tensor], record: Record) -> dict[str, Any]:
    """Return arguments of `StyleGAN2Config`, not checked against every tensor.

    Raises:
        Refusal: If a tensor that tells one is missing.
    """
    resolutions = _resolutions(tensors)
    num_layers = 0
    while f"mapping.fc{num_layers}.weight" in tensors:
        num_layers += 1
    hidden, dim_in = shape_of(tensors, "mapping.fc0.weight", 2)
    w_dim = shape_of(tensors, f"mapping.fc{max(num_layers - 1, 0)}.weight", 2)[0]
    embed_features, c_dim = None, 0
    if "mapping.embed.weight" in tensors:
        embed_features, c_dim = shape_of(tensors, "mapping.embed.weight", 2)
    channels = {
        r: shape_of(tensors, f"synthesis.b{r}.conv1.weight", 4)[0] for r in resolutions
    }
    base, most = _capacity(channels, record)
    last = resolutions[-1]
    return {
        "z_dim": dim_in - (embed_features or 0),
        "w_dim": w_dim,
        "resolution": last,
        "channel_base": base,
        "channel_max": most,
        "mapping_layers": num_layers,
        "mapping_features": None if hidden == w_dim else hidden,
        "mapping_lr": record.mapping_lr,
        "conv_clamp": record.conv_clamp,
        "c_dim": c_dim,
        "embed_features": None if embed_features == w_dim else embed_features,
        "img_channels": shape_of(tensors, f"synthesis.b{last}.torgb.weight", 4)[0],
        "architecture": _joins(tensors, last),
        "resample_filter": _taps(tensors, record.resample_filter),
        "use_noise": "synthesis.b4.conv1.noise_strength" in tensors,
    }


def shape_of(tensors: Mapping[str, Tensor], name: str, num_dims: int) -> list[int]:
    """Return the shape of a tensor that must be there, of so many dimensions."""
    if name not in tensors or tensors[name].ndim != num_dims:
        msg = f"lacks the tensor {name} of a generator, with {num_dims} dimensions"
        raise Refusal(msg)
    return list(tensors[name].shape)


def _resolutions(tensors: Mapping[str, Tensor]) -> list[int]:
    """Return the resolutions of the blocks: 4, 8, ..."""
    found = {
        int(match[1])
        for name in tensors
        if (match := re.match(r"synthesis\.b(\d{1,5})\.", name))
    }
    expected = [2**power for power in range(2, 2 + len(found))]
    if not found or sorted(found) != expected:
        msg = f"has blocks of the resolutions {sorted(found)[:12]} instead of 4, 8, ..."
        raise Refusal(msg)
    return expected


def _capacity(channels: Mapping[int, int], record: Record) -> tuple[int, int]:
    """Return `channel_base` and `channel_max` that give these channels.

    Those of the file if they do, and otherwise the smallest.
    """
    most = max(channels.values())
    # num = base // r below the cap, so that num * r <= base < num * r + r.
    least = max(num * r for r, num in channels.items())
    candidates = [(least, most)]
    if record.channel_base is not None and record.channel_max is not None:
        candidates.insert(0, (record.channel_base, record.channel_max))
    for base, cap in candidates:
        if all(min(base // r, cap) == num for r, num in channels.items()):
            return base, cap
    msg = f"has blocks of {list(channels.values())} channels, which do not halve evenly"
    raise Refusal(msg)


def _joins(tensors: Mapping[str, Tensor], last: int) -> str:
    """Return what joins the blocks, by the layers that only it has."""
    if "synthesis.b8.skip.weight" in tensors:
        return "resnet"
    first = "synthesis.b4.torgb.weight"
    return "skip" if first in tensors or last == 4 else "orig"


def _taps(tensors: Mapping[str, Tensor], recorded: Sequence[float]) -> list[float]:
    """Return the filter's coefficients: the recorded ones, unless a tensor differs."""
    stored = tensors.get("synthesis.b4.resample_filter")
    if stored is None or not 1 <= stored.ndim <= 2:
        return list(recorded)
    factor = stored if stored.ndim == 1 else stored.sum(1)
    taps = torch.tensor(recorded)
    if len(taps) == len(factor) and torch.allclose(taps / taps.sum(), factor):
        return list(recorded)
    return factor.tolist()


def _mean_w(config: StyleGAN2Config, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the mean of w over fixed random z, for a file without it, [w_dim]."""
    if config.c_dim:
        msg = "lacks mapping.w_avg, the mean of w of a conditional generator"
        raise Refusal(msg)
    mapping = MappingNetwork(config)
    weights = {
        name.removeprefix("mapping."): value
        for name, value in tensors.items()
        if name.startswith("mapping.fc")
    }
    mapping.load_state_dict(weights | {"w_avg": mapping.w_avg})
    z = torch.randn(
        _NUM_Z_FOR_W_AVG, config.z_dim, generator=make_generator(0, "stylegan w_avg")
    )
    with torch.inference_mode():
        mean: Tensor = mapping(z)[:, 0].mean(0)
    return mean.clone()
