"""A trained encoder, picture -> w, in one small file.

Convolutions, each half as large, then a linear layer to normalised w:

    x0 = network(image),  w = mean + std * x0
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clip2latent_kedro.editing.inversion.distance import fit_pictures
from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.files import hash_file
from clip2latent_kedro.interfaces import Generator, Identity
from clip2latent_kedro.latents import LatentStatistics, repeat_latents
from clip2latent_kedro.reading import (
    MISSHAPEN,
    first_line,
    load_network,
    parse_json,
    read_settings,
    read_weights,
)

KIND = "image_inverter"
_GROUPS = 8  # of channels, normalised together
_POOLED = 4  # pixels a side of what the linear layer reads
_AT_ONCE = 256


class InverterNetwork(nn.Module):
    """Picture -> normalised w."""

    def __init__(self, *, width: int, num_latents: int, w_dim: int) -> None:
        """Build with random weights.

        Args:
            width: Channels at half the picture's side; twice and four times as many
                at a quarter and at an eighth.
            num_latents: Latents of a picture.
            w_dim: Width of each.
        """
        super().__init__()
        self.latent_shape = (num_latents, w_dim)
        stages: list[nn.Module] = []
        channels_in = 3
        for channels in (width, 2 * width, 4 * width):
            for stride in (2, 1):
                stages += [
                    nn.Conv2d(channels_in, channels, 3, stride, padding=1),
                    nn.GroupNorm(_GROUPS, channels),
                    nn.SiLU(),
                ]
                channels_in = channels
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(_POOLED)
        self.to_latents = nn.Linear(channels_in * _POOLED**2, num_latents * w_dim)

    def forward(self, image: Tensor) -> Tensor:
        """Return x0, [n, num_latents, w_dim], of images [n, 3, side, side]."""
        features = self.pool(self.stages(image)).flatten(1)
        x0: Tensor = self.to_latents(features)
        return x0.view(-1, *self.latent_shape)


@dataclass(frozen=True)
class ImageInverter:
    """A trained encoder of one generator's pictures.

    Attributes:
        network: Frozen.
        statistics: Between its x0 and w.
        latent_repeats: Layers that each latent stands for.
        resolution: Pixels a side of the pictures that it reads.
        identity: Of its file.
        generator_identity: Of the generator whose w it gives.
    """

    network: InverterNetwork
    statistics: LatentStatistics
    latent_repeats: Sequence[int]
    resolution: int
    identity: Identity
    generator_identity: Identity

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """Return w, [n, num_ws, w_dim], of images [n, 3, side, side] in [-1, 1]."""
        parts = torch.split(fit_pictures(image, self.resolution), _AT_ONCE)
        x0 = torch.cat([self.network(part) for part in parts])
        return repeat_latents(self.statistics.denormalise(x0), self.latent_repeats)

    def check_generator(self, generator: Generator) -> None:
        """Check that its w are those of a generator, or raise `InputError`."""
        if generator.identity != self.generator_identity:
            msg = (
                f"The image_inverter gives w of {self.generator_identity}, got the "
                f"generator {generator.identity}. Train it anew by the pipeline "
                f"inverter."
            )
            raise InputError(msg)

    def to(self, device: str) -> "ImageInverter":
        """Move to a device and return self."""
        self.network.to(device)
        return self


def export_inverter(
    weights: Mapping[str, Tensor],
    statistics: LatentStatistics,
    generator: Generator,
    latent_repeats: Sequence[int],
    width: int,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors, the network's in half precision, and metadata of a file.

    Args:
        weights: State dict of the network.
        statistics: Mean and standard deviation of w, [num_latents, w_dim].
        generator: Whose w it gives.
        latent_repeats: Layers that each latent stands for.
        width: Of the network.
    """
    tensors = {f"network.{k}": v.half().contiguous() for k, v in weights.items()}
    tensors |= {"w_mean": statistics.mean, "w_std": statistics.std}
    header = {
        "kind": KIND,
        "width": width,
        "latent_repeats": list(latent_repeats),
        "resolution": generator.resolution,
        "generator": vars(generator.identity),
    }
    return tensors, {"config": json.dumps(header, sort_keys=True)}


def load_inverter(path: Path | None, options: Mapping[str, Any]) -> ImageInverter:
    """Return the encoder in a file of `export_inverter`, frozen.

    Args:
        path: The file.
        options: There are none.

    Raises:
        MissingError: If there is no file.
        InputError: If it is not of this format, or there are options.
    """
    if options:
        msg = f"An image_inverter has no options {sorted(options)}. Remove them."
        raise InputError(msg)
    if path is None or not path.is_file():
        msg = (
            f"The image_inverter is expected at {path}, where there is no file. Run "
            f"the pipeline inverter."
        )
        raise MissingError(msg)
    mend = "Make it again with kedro run --pipeline=inverter."
    stored, metadata = read_weights(path, mend=mend)
    try:
        header = parse_json(metadata["config"])
        tensors = {name: value.float() for name, value in stored.items()}
        return _unpack(header, tensors, hash_file(path))
    except MISSHAPEN as error:
        msg = (
            f"{path} must hold an image_inverter as the pipeline inverter writes it, "
            f"but does not ({first_line(error)}). {mend}"
        )
        raise InputError(msg) from error


def _unpack(
    header: Mapping[str, Any], tensors: Mapping[str, Tensor], digest: str
) -> ImageInverter:
    """Return the model of what is in a file; `ValueError` and others for another."""
    if header["kind"] != KIND:
        raise ValueError(header["kind"])
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        msg = "it has numbers that are not finite"
        raise ValueError(msg)
    statistics = LatentStatistics(tensors["w_mean"], tensors["w_std"])
    repeats = header["latent_repeats"]
    num_latents, w_dim = statistics.mean.shape
    are_counts = all(type(count) is int and count > 0 for count in repeats)
    if statistics.std.shape != statistics.mean.shape or len(repeats) != num_latents:
        msg = f"w_mean, w_std and latent_repeats {repeats} are not of one shape"
        raise ValueError(msg)
    if not are_counts or type(header["resolution"]) is not int:
        msg = f"latent_repeats {repeats} or the resolution is no whole number"
        raise ValueError(msg)
    weights = {
        name.removeprefix("network."): value
        for name, value in tensors.items()
        if name.startswith("network.")
    }
    network = load_network(
        lambda: InverterNetwork(
            width=header["width"], num_latents=num_latents, w_dim=w_dim
        ),
        weights,
    )
    return ImageInverter(
        network=network.eval().requires_grad_(False),
        statistics=statistics,
        latent_repeats=repeats,
        resolution=header["resolution"],
        identity=Identity(KIND, digest),
        generator_identity=read_settings(Identity, header["generator"]),
    )
