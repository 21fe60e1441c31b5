"""StyleGAN2's noise maps, as far as a projector moves them.

A map that is free to be anything would paint the picture itself. It is kept noise: its
neighbours may not be correlated at any scale, and mean and variance stay 0 and 1
(Karras et al. 2020, arXiv 1912.04958, appendix D; NVIDIA's projector).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from clip2latent_kedro.interfaces import Generator

_SMALLEST = 8  # pixels a side of the last level of a pyramid
_MAP, _STRENGTH = "noise_const", "noise_strength"


def find_noise_layers(generator: Generator) -> dict[str, nn.Module]:
    """Return the layers with a noise map that does something, by name.

    Args:
        generator: One that is no StyleGAN2 has none.
    """
    synthesis = getattr(getattr(generator, "network", None), "synthesis", None)
    if not isinstance(synthesis, nn.Module):
        return {}
    return {
        name: layer
        for name, layer in synthesis.named_modules()
        if _MAP in layer._buffers and float(getattr(layer, _STRENGTH, 0.0)) != 0
    }


def draw_noise_maps(
    layers: Mapping[str, nn.Module], num_pictures: int, random: torch.Generator
) -> dict[str, Tensor]:
    """Return new maps, [num_pictures, 1, h, w], the same for each picture."""
    maps = {}
    for name, layer in layers.items():
        stored: Any = layer._buffers[_MAP]
        drawn = torch.randn(stored.shape, generator=random)
        maps[name] = drawn.to(stored).repeat(num_pictures, 1, 1, 1)
    return maps


@contextmanager
def using_noise_maps(
    layers: Mapping[str, nn.Module], maps: Mapping[str, Tensor]
) -> Iterator[None]:
    """Let layers add these maps instead of their own, for the time of a block.

    Args:
        layers: Of `find_noise_layers`.
        maps: [n, 1, h, w] each, for a synthesis of n pictures with gradients.
    """
    own = {name: layer._buffers[_MAP] for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            layer._buffers[_MAP] = maps[name]
        yield
    finally:
        for name, layer in layers.items():
            layer._buffers[_MAP] = own[name]


def noise_penalty(maps: Mapping[str, Tensor]) -> Tensor:
    """Return how much neighbours in the maps are correlated, [n].

    The sum over levels of each map's pyramid of mean(x shifted(x))^2, for a shift by
    one pixel to the side and one for a shift down, which wrap around.

    Args:
        maps: One or more, [n, 1, h, w] each.
    """
    terms = []
    for noise in maps.values():
        while True:
            for axis in (3, 2):
                shifted = torch.roll(noise, shifts=1, dims=axis)
                terms.append((noise * shifted).mean(dim=(1, 2, 3)).square())
            if noise.shape[2] <= _SMALLEST:
                break
            noise = functional.avg_pool2d(noise, 2)
    return torch.stack(terms).sum(dim=0)


@torch.no_grad()
def normalise_noise_maps(maps: Mapping[str, Tensor]) -> None:
    """Bring each picture's maps back to mean 0 and variance 1, where they are."""
    for noise in maps.values():
        noise.sub_(noise.mean(dim=(1, 2, 3), keepdim=True))
        square = noise.square().mean(dim=(1, 2, 3), keepdim=True)
        noise.mul_(square.clamp_min(1e-12).rsqrt())
