"""Generators in plain state dicts: what draws is told by the tensors themselves.

`dcgan` is the network of PyTorch's own example (Radford et al. 2016): transposed
convolutions, batch norms and ReLUs in one sequence, a tanh at the end. `vae` is the
decoder of `generators.vae`. Both are frozen and have no noise of their own.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clip2latent_kedro.checked import Checked, read_settings
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import hash_file
from clip2latent_kedro.generators.adapters import DecoderGenerator
from clip2latent_kedro.generators.vae import (
    FLOW_PREFIX,
    LatentFlow,
    VaeConfig,
    VaeDecoder,
)
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.reading.state_dicts import (
    fit_network,
    read_state_dict,
)

# Of checkpoints that hold the discriminator as well.
_DCGAN_ENTRIES = ("netG_state_dict", "netG", "generator", "G")


@dataclass(frozen=True)
class DecoderOptions(Checked):
    """What a catalog entry may set.

    Attributes:
        entry: Name of the state dict in a checkpoint that holds more.
    """

    entry: str | None = None


def load_dcgan(path: Path | None, options: Mapping[str, Any]) -> DecoderGenerator:
    """Return the DCGAN whose state dict is in a file, with w = z ~ N(0, I).

    Names are `main.N.weight` and so on, as nn.Sequential gives them; any size, any
    number of channels, one or three colours. A prefix `module.` is passed over. In a
    checkpoint of several networks, the generator is found by the names that programs
    give it, or by option `entry`.

    Args:
        path: Safetensors, or a file of torch.save.
        options: The fields of `DecoderOptions`.

    Raises:
        InputError: If the file is missing or refused, or holds another network.
    """
    choice = read_settings(DecoderOptions, options, "options")
    tensors, _ = read_state_dict(path, entry=choice.entry, known=_DCGAN_ENTRIES)
    decoder, z_dim, resolution = _build_dcgan(tensors, path)
    assert path is not None
    identity = Identity("dcgan", hash_file(path))
    return DecoderGenerator(
        decoder, z_dim=z_dim, resolution=resolution, identity=identity
    )


def load_vae(path: Path | None, options: Mapping[str, Any]) -> DecoderGenerator:
    """Return the decoder of a VAE whose state dict is in a file.

    Names are those of `generators.vae.VaeDecoder`, with or without a prefix
    `decoder.`, and of its flow, if there is one, under `flow.`; names under `encoder.`
    are passed over. Metadata `config` of a safetensors file, if there is one, must
    agree with the tensors.

    Args:
        path: Safetensors, or a file of torch.save.
        options: The fields of `DecoderOptions`.

    Raises:
        InputError: If the file is missing or refused, or holds another network.
    """
    choice = read_settings(DecoderOptions, options, "options")
    stored, metadata = read_state_dict(path, entry=choice.entry)
    assert path is not None
    tensors = {
        name.removeprefix("decoder."): value
        for name, value in stored.items()
        if not name.startswith("encoder.")
    }
    config = _read_vae_config(tensors, path)
    stated = metadata.get("config")
    if stated is not None and stated != describe_vae(config):
        msg = (
            f"{path} holds a VAE of {describe_vae(config)}, but its metadata say "
            f"{stated[:80]}. Export it again."
        )
        raise InputError(msg)
    moving = {
        name.removeprefix(FLOW_PREFIX): tensors.pop(name)
        for name in list(tensors)
        if name.startswith(FLOW_PREFIX)
    }
    decoder = fit_network(lambda: VaeDecoder(config), tensors, path, "vae")
    flow = None
    if moving:
        sizes = config.latent_dim, config.flow_width, config.flow_depth
        flow = fit_network(lambda: LatentFlow(*sizes), moving, path, "vae")
    return DecoderGenerator(
        decoder,
        z_dim=config.latent_dim,
        resolution=config.resolution,
        identity=Identity("vae", hash_file(path)),
        flow=flow,
    )


def describe_vae(config: VaeConfig) -> str:
    """Return the architecture as a file's metadata `config` tells it, JSON."""
    return json.dumps(asdict(config), sort_keys=True)


def _build_dcgan(
    stored: Mapping[str, Tensor], path: Path | None
) -> tuple[nn.Module, int, int]:
    """Return the decoder, z_dim and resolution that the tensors tell."""
    tensors, weights = {}, {}
    for name, value in stored.items():
        matched = re.fullmatch(r"\w+\.(\d{1,3})\.(\w+)", name)
        if matched is None:
            raise _no_dcgan(path, f"has the tensor {name!r}")
        tensors[f"main.{matched[1]}.{matched[2]}"] = value
        if matched[2] == "weight":
            weights[int(matched[1])] = value
    places = sorted(place for place, weight in weights.items() if weight.ndim == 4)
    if places[:1] != [0]:
        raise _no_dcgan(path, "does not begin with a transposed convolution")
    sizes = [weights[place].shape for place in places]
    if max(weights) != places[-1] or sizes[-1][1] not in (1, 3):
        raise _no_dcgan(path, "does not end with a convolution to 1 or 3 colours")
    for _, _, height, width in sizes:
        if height != width or height % 2:
            raise _no_dcgan(path, f"has a kernel of {height} x {width} pixels")

    def build() -> nn.ModuleDict:
        layers = [
            _dcgan_layer(
                weights.get(place), place, has_bias=f"main.{place}.bias" in tensors
            )
            for place in range(places[-1] + 1)
        ]
        return nn.ModuleDict({"main": nn.Sequential(*layers)})

    main = fit_network(build, tensors, path, "dcgan")["main"]
    decoder = nn.Sequential(nn.Unflatten(1, (-1, 1, 1)), main, nn.Tanh()).eval()
    z_dim, resolution = sizes[0][0], sizes[0][2] * 2 ** (len(sizes) - 1)
    with torch.no_grad():
        try:
            drawn = decoder(torch.zeros(1, z_dim))
        except RuntimeError as error:
            raise _no_dcgan(path, "has layers that do not fit together") from error
    assert drawn.shape[2:] == (resolution, resolution)
    return decoder, z_dim, resolution


def _dcgan_layer(weight: Tensor | None, place: int, *, has_bias: bool) -> nn.Module:
    """Return a convolution, a batch norm, or, where nothing is stored, a ReLU."""
    if weight is None:
        return nn.ReLU()
    if weight.ndim != 4:
        return nn.BatchNorm2d(len(weight))
    num_in, num_out, size, _ = weight.shape
    stride, padding = (1, 0) if place == 0 else (2, size // 2 - 1)
    return nn.ConvTranspose2d(num_in, num_out, size, stride, padding, bias=has_bias)


def _no_dcgan(path: Path | None, what: str) -> InputError:
    return InputError(
        f"{path} must hold a DCGAN as PyTorch's example writes it (main.N.weight), but "
        f"it {what}. Give another file, or its state dict's name as option entry."
    )


def _read_vae_config(tensors: Mapping[str, Tensor], path: Path | None) -> VaeConfig:
    """Return the sizes that the tensors tell."""
    count = _count(tensors, r"blocks\.(\d+)\.conv\.weight")
    depth = _count(tensors, rf"{re.escape(FLOW_PREFIX)}layers\.(\d+)\.norm\.weight")
    try:
        features, latent_dim = tensors["input.weight"].shape
        later = [len(tensors[f"blocks.{n}.conv.weight"]) for n in range(count)]
        width = len(tensors[f"{FLOW_PREFIX}input.weight"]) if depth else 0
    except (LookupError, TypeError, ValueError) as error:
        msg = (
            f"{path} must hold a decoder of this project's layout, of input, blocks.N "
            f"and output (see generators.vae), but it lacks {error}."
        )
        raise InputError(msg) from error
    return VaeConfig(latent_dim, (features // 16, *later), width, depth)


def _count(names: Mapping[str, Tensor], pattern: str) -> int:
    found = [int(match[1]) for name in names if (match := re.fullmatch(pattern, name))]
    return max(found, default=-1) + 1
