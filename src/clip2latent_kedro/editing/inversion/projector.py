"""The projector: gradient descent on the latents of a picture.

That of StyleGAN2-ADA (Karras et al. 2020, arXiv 2006.06676; after arXiv 1912.04958,
appendix D), for several pictures at once and in other spaces and from other starts:

    minimise  d(G(w + n), picture) + weight * noise_penalty(noise maps)

by Adam, whose learning rate rises over 5 % of the steps and falls over the last 25 %,
with noise n on w of standard deviation 0.05 sigma_w max(0, 1 - t / 0.75)^2 at the share
t of the steps. Each row of a batch descends by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.editing.inversion.distance import PictureDistance
from clip2latent_kedro.editing.inversion.noise_maps import (
    draw_noise_maps,
    find_noise_layers,
    noise_penalty,
    normalise_noise_maps,
    using_noise_maps,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import synthesise_latents
from clip2latent_kedro.interfaces import Generator, StyledGenerator
from clip2latent_kedro.latents import Latents, group_starts, repeat_latents
from clip2latent_kedro.methods.optimisation.coordinates import shared_layers
from clip2latent_kedro.methods.optimisation.loop import ramp
from clip2latent_kedro.runtime import make_generator

NUM_MEASURED = 10_000  # w that the mean and the spread are measured on
_AT_ONCE = 1024


@dataclass(frozen=True)
class LatentSpread:
    """Where the generator's w lie.

    Attributes:
        mean: Of w, [num_ws, w_dim].
        sigma: Root of the mean squared distance of the first layer's w from it.
    """

    mean: Tensor
    sigma: float


@torch.no_grad()
def measure_spread(
    generator: Generator, *, device: str, num_latents: int = NUM_MEASURED
) -> LatentSpread:
    """Return mean and spread of w, over z that are the same each time.

    Args:
        generator: On the device.
        device: Where it is.
        num_latents: z ~ N(0, I) to map.
    """
    random = make_generator(0, "latent_spread")
    z = torch.randn(num_latents, generator.z_dim, generator=random)
    batches = [generator.mapping(x.to(device)) for x in torch.split(z, _AT_ONCE)]
    w = torch.cat(batches)
    mean = w.mean(dim=0)
    square = (w[:, 0] - mean[0]).square().sum(dim=1).mean()
    return LatentSpread(mean, float(square.sqrt()))


@dataclass(frozen=True)
class MovedLatents:
    """The part of latents that is moved, and how the whole is made of it.

    Attributes:
        w_start: [n, num_ws, w_dim].
        values: What is moved: w, [n, num_latents, w_dim]; or what is added to the
            styles of the start, [n, num_channels].
        layers: Layers of each latent; None for styles.
    """

    w_start: Tensor
    values: Tensor
    layers: Sequence[int] | None

    def latents(self, noise: Tensor | float = 0.0) -> Latents:
        """Return the latents, with noise on w, [num_ws or 1, w_dim]."""
        if self.layers is None:
            return Latents(self.w_start + noise, self.values)
        return Latents(repeat_latents(self.values, self.layers) + noise)

    def snapshot(self) -> Latents:
        """Return a copy of the latents, without noise."""
        found = self.latents()
        w, offset = found.w.detach().clone(), found.style_offset
        return Latents(w, None if offset is None else offset.detach().clone())


def project(
    generator: Generator,
    distance: PictureDistance,
    target: Tensor,
    start: Tensor,
    config: InversionConfig,
    *,
    spread: LatentSpread,
    seed: int,
) -> Iterator[Latents]:
    """Yield the latents of pictures after steps 0, 1, ..., `num_steps`.

    What comes of a picture depends, but for rounding, neither on those beside it nor
    on its place among them. Noise maps are moved for the fit and not kept: what is
    yielded is to be drawn with the generator's own.

    Args:
        generator: On the device of the start; its weights stay as they are.
        distance: Of pictures.
        target: Pictures, [n, 3, resolution, resolution] in [-1, 1].
        start: [n, num_ws, w_dim].
        config: How to descend; its `start` is not looked at.
        spread: Of the generator's w.
        seed: Decides the noise on w and the noise maps at first.

    Raises:
        InputError: If there are no styles in the generator, where those are moved; or
            if no gradient reaches the latents.
    """
    moved = _choose_moved(generator, start, config)
    yield moved.snapshot()
    with torch.no_grad():
        wanted = distance.features(target)
    layers = find_noise_layers(generator)
    random = make_generator(seed, "noise_maps")
    maps = draw_noise_maps(layers, len(start), random)
    moving = [x.requires_grad_() for x in (moved.values, *maps.values())]
    optimizer = torch.optim.Adam(moving, lr=config.lr)
    for step in range(1, config.num_steps + 1):
        optimizer.param_groups[0]["lr"] = config.lr * ramp(config, step)
        noise = _draw_noise(config, spread, step, seed).to(start)
        with torch.enable_grad(), using_noise_maps(layers, maps):
            image = synthesise_latents(generator, moved.latents(noise))
            loss = distance.between(image, wanted)
            if maps:
                loss = loss + config.noise_weight * noise_penalty(maps)
            if not loss.requires_grad:
                msg = (
                    "Inverting pictures needs gradients of generator.synthesis and of "
                    "the perceptual loss, got none. Run both without torch.no_grad "
                    "inside."
                )
                raise InputError(msg)
            # Of the sum, not the mean: a picture's gradient is its own.
            gradients = torch.autograd.grad(loss.sum(), moving)
        for x, gradient in zip(moving, gradients, strict=True):
            x.grad = gradient
        optimizer.step()
        normalise_noise_maps(maps)
        yield moved.snapshot()


def latent_noise(config: InversionConfig, sigma: float, step: int) -> float:
    """Return the standard deviation of the noise on w in a step (from 1).

    latent_noise sigma max(0, 1 - t / latent_noise_end)^2, t = (step - 1) / num_steps.
    """
    t = (step - 1) / config.num_steps
    end = config.latent_noise_end
    left = max(0.0, 1 - t / end) if end else 0.0
    return config.latent_noise * sigma * left**2


def _draw_noise(
    config: InversionConfig, spread: LatentSpread, step: int, seed: int
) -> Tensor:
    """Return the noise of a step, [1, w_dim] for all layers, or one for each."""
    num_ws, w_dim = spread.mean.shape
    shape = (num_ws if config.space == "w+" else 1, w_dim)
    scale = latent_noise(config, spread.sigma, step)
    if scale == 0:
        return torch.zeros(shape)
    random = make_generator(seed, "latent_noise", step)
    return scale * torch.randn(shape, generator=random)


def _choose_moved(
    generator: Generator, start: Tensor, config: InversionConfig
) -> MovedLatents:
    """Return what is moved, a copy of the start."""
    if config.space == "s":
        if not isinstance(generator, StyledGenerator):
            msg = (
                f"editing.inversion.space s needs a StyleGAN2 or StyleGAN3, got "
                f"{generator.identity}. Use w or w+."
            )
            raise InputError(msg)
        channels = sum(layer.num_channels for layer in generator.style_layers)
        return MovedLatents(start, start.new_zeros(len(start), channels), None)
    is_shared = config.space == "w"
    # Of one picture, so that the layers are the same whoever is beside it.
    layers = shared_layers(start[:1]) if is_shared else [1] * start.shape[1]
    values = start[:, group_starts(layers)].clone()
    return MovedLatents(start, values, layers)
