"""From a generator's tensors, in NVIDIA's names, to its architecture.

Whatever shapes can tell is read from them; the rest (gains, clamps, filters) comes
from the file's own record of it. The result is compared with the network itself, built
where its numbers take no room.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.generators.lafite import TextLayers
from clip2latent_kedro.generators.safetensors_files import NETWORKS
from clip2latent_kedro.generators.stylegan2 import MappingNetwork
from clip2latent_kedro.generators.stylegan2_config import StyleGAN2Config
from clip2latent_kedro.generators.stylegan2_layers import fir_filter
from clip2latent_kedro.reading import (
    Refusal,
    check_fit,
    read_settings,
    sketch_network,
)
from clip2latent_kedro.runtime import make_generator

Rules = Iterable[tuple[str, Callable[..., tuple[str, Tensor]]]]

_NUM_Z_FOR_W_AVG = 4096
_TAPS = (1, 3, 3, 1)
_UNUSED_FILTER = ".conv1.resample_filter"
# Layers that tell how LAFITE uses a text; the first of them that is there decides.
_TEXT_LAYERS: dict[str, TextLayers] = {
    "scale_layer_0": "scale",
    "affine": "add",
    "affine_0": "concatenate",
}


@dataclass(frozen=True)
class StyleGANWeights:
    """A generator as a file holds it.

    Attributes:
        kind: Which network it is, a name in `NETWORKS`.
        config: Arguments of the network's configuration, such as `StyleGAN2Config`.
        tensors: Its state dict, float32, in NVIDIA's names.
    """

    kind: str
    config: Mapping[str, Any]
    tensors: dict[str, Tensor]


def rename_tensors(tensors: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """Return tensors of another program in NVIDIA's names and layouts.

    Args:
        tensors: By name.
        rules: Patterns of names, and what makes a new name and tensor of a tensor and
            the pattern's groups; the first that matches is taken.

    Raises:
        Refusal: If a name is in no rule.
    """
    renamed = {}
    for path, value in tensors.items():
        for pattern, convert in rules:
            if match := re.fullmatch(pattern, path):
                name, tensor = convert(value, *match.groups())
                renamed[name] = tensor.contiguous()
                break
        else:
            raise Refusal(f"has the tensor {path[:80]!r}, which StyleGAN2 lacks")
    return renamed


def stylegan2_weights(
    tensors: Mapping[str, Tensor], record: Mapping[str, Any]
) -> StyleGANWeights:
    """Return a StyleGAN2, or a LAFITE if it has layers for a text.

    Filters that the file leaves out are made, and so is the mean of w. The filter of a
    layer `conv1`, which does not resample, is left unread: NVIDIA's classes store the
    default one there, whatever the generator's is. The learning-rate multiplier of
    LAFITE's text layers is that of the published code, where it is fixed.

    Args:
        tensors: In NVIDIA's names.
        record: What the file says beside them: arguments of `StyleGAN2Config`.

    Raises:
        Refusal: If they are no such generator's; or another error if a part of what
            tells it is.
    """
    kind, fields = "stylegan2", _stylegan2_fields(tensors, record)
    if _text_layers(tensors, 4) != "none":
        kind, fields = "lafite", fields | _text_fields(tensors, fields["resolution"])
    used = {k: v for k, v in tensors.items() if not k.endswith(_UNUSED_FILTER)}
    return checked_weights(kind, fields, used)


def checked_weights(
    kind: str, fields: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> StyleGANWeights:
    """Return a generator whose tensors are known to be those of its network.

    Args:
        kind: A name in `NETWORKS`.
        fields: Arguments of its configuration.
        tensors: Its state dict; of kinds other than `stylegan3`, filters and the mean
            of w may be missing.

    Raises:
        Refusal: If names or shapes are others.
        ValueError: If no such network can be built.
    """
    network, settings = NETWORKS[kind]
    config = read_settings(settings, fields)
    build = partial(network, config)
    whole = dict(tensors)
    if isinstance(config, StyleGAN2Config):
        taps = fir_filter(config.resample_filter)
        for name in sketch_network(build, tensors).state_dict():
            if name.endswith("resample_filter"):
                whole.setdefault(name, taps)
        whole.setdefault("mapping.w_avg", torch.empty(config.w_dim, device="meta"))
    try:
        check_fit(build, whole)
    except ValueError as error:
        raise Refusal(f"holds no generator of a known layout: {error}") from error
    if isinstance(config, StyleGAN2Config) and whole["mapping.w_avg"].is_meta:
        whole["mapping.w_avg"] = _mean_w(config, whole)
    return StyleGANWeights(kind, asdict(config), whole)


def _stylegan2_fields(
    tensors: Mapping[str, Tensor], record: Mapping[str, Any]
) -> dict[str, Any]:
    """Return arguments of `StyleGAN2Config`, not checked against every tensor."""
    resolutions = _resolutions(tensors)
    num_layers = 0
    while f"mapping.fc{num_layers}.weight" in tensors:
        num_layers += 1
    hidden, dim_in = _shape(tensors, "mapping.fc0.weight", 2)
    w_dim = _shape(tensors, f"mapping.fc{max(num_layers - 1, 0)}.weight", 2)[0]
    embed_features, c_dim = None, 0
    if "mapping.embed.weight" in tensors:
        embed_features, c_dim = _shape(tensors, "mapping.embed.weight", 2)
    channels = {
        r: _shape(tensors, f"synthesis.b{r}.conv1.weight", 4)[0] for r in resolutions
    }
    base, most = _capacity(channels, record)
    last = resolutions[-1]
    return {
        **record,
        "z_dim": dim_in - (embed_features or 0),
        "w_dim": w_dim,
        "resolution": last,
        "channel_base": base,
        "channel_max": most,
        "mapping_layers": num_layers,
        "mapping_features": None if hidden == w_dim else hidden,
        "c_dim": c_dim,
        "embed_features": None if embed_features == w_dim else embed_features,
        "img_channels": _shape(tensors, f"synthesis.b{last}.torgb.weight", 4)[0],
        "architecture": _joins(tensors, last),
        "resample_filter": _taps(tensors, record.get("resample_filter", _TAPS)),
        "use_noise": "synthesis.b4.conv1.noise_strength" in tensors,
    }


def _text_fields(tensors: Mapping[str, Tensor], resolution: int) -> dict[str, Any]:
    """Return the arguments that `LafiteConfig` has beside those of StyleGAN2."""
    hidden = "scale_layer" if _text_layers(tensors, 4) == "scale" else "pre"
    layer = f"synthesis.b4.conv1.{hidden}"
    powers = range(2, resolution.bit_length())
    return {
        "text_dim": _shape(tensors, f"{layer}_0.weight", 2)[1],
        "text_features": _shape(tensors, f"{layer}_1.weight", 2)[0],
        "text_layers": {str(2**p): _text_layers(tensors, 2**p) for p in powers},
    }


def _text_layers(tensors: Mapping[str, Tensor], resolution: int) -> TextLayers:
    """Return how a block uses a text."""
    layer = f"synthesis.b{resolution}.conv1"
    found = [name for name in _TEXT_LAYERS if f"{layer}.{name}.weight" in tensors]
    if found in ([], ["affine"]):
        return "none"
    return _TEXT_LAYERS[found[0]]


def _shape(tensors: Mapping[str, Tensor], name: str, num_dims: int) -> list[int]:
    """Return the shape of a tensor that must be there, of so many dimensions."""
    if name not in tensors or tensors[name].ndim != num_dims:
        raise Refusal(
            f"lacks the tensor {name} of a generator, with {num_dims} dimensions"
        )
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
        raise Refusal(
            f"has blocks of the resolutions {sorted(found)[:12]} instead of 4, 8, ..."
        )
    return expected


def _capacity(
    channels: Mapping[int, int], record: Mapping[str, Any]
) -> tuple[int, int]:
    """Return `channel_base` and `channel_max` that give these channels.

    Those of the record if they do, and otherwise the smallest.
    """
    # num = base // r below the cap, so that num * r <= base < num * r + r.
    least = max(num * r for r, num in channels.items())
    said: tuple[Any, Any] = record.get("channel_base"), record.get("channel_max")
    for base, cap in (said, (least, max(channels.values()))):
        is_told = type(base) is int and type(cap) is int
        if is_told and all(min(base // r, cap) == n for r, n in channels.items()):
            return base, cap
    raise Refusal(
        f"has blocks of {list(channels.values())} channels, which do not halve evenly"
    )


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
        raise Refusal("lacks mapping.w_avg, the mean of w of a conditional generator")
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
