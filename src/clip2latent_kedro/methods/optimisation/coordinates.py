"""What the optimiser moves: linear coordinates of w, and how far w has gone in them.

    w = origin + q basis

In whitened coordinates a step of the same length changes w as much, for its spread, in
every direction; raw w has directions in which the same step leaves the Gaussian at
once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Generator
from clip2latent_kedro.latents import (
    LatentGaussian,
    fit_gaussian,
    group_starts,
)
from clip2latent_kedro.methods.optimisation.config import CoordinatesName
from clip2latent_kedro.runtime import make_generator


@dataclass(frozen=True)
class Coordinates:
    """Linear coordinates q of w, for each latent.

    Attributes:
        origin: w of q = 0, [num_latents, w_dim].
        basis: w of each unit of q, as rows, [num_latents, w_dim, w_dim].
        inverse: Of the basis.
    """

    origin: Tensor
    basis: Tensor
    inverse: Tensor

    def to_w(self, q: Tensor) -> Tensor:
        """Return w of q, both [n, num_latents, w_dim]."""
        return self.origin + torch.einsum("nlq,lqd->nld", q, self.basis)

    def from_w(self, w: Tensor) -> Tensor:
        """Return q of w, both [n, num_latents, w_dim]."""
        return torch.einsum("nld,ldq->nlq", w - self.origin, self.inverse)


class RawCoordinates:
    """q = w, of any size."""

    def to_w(self, q: Tensor) -> Tensor:
        """Return q itself."""
        return q

    def from_w(self, w: Tensor) -> Tensor:
        """Return a copy of w, which may be moved."""
        return w.clone()


def make_coordinates(
    name: CoordinatesName, gaussian: LatentGaussian | None
) -> Coordinates | RawCoordinates:
    """Return coordinates by name.

    Args:
        name: `raw`: q = w. `standardised`: q = (w - mean) / std of each channel.
            `whitened`: the same along the Gaussian's principal axes.
        gaussian: Of one row for each latent that moves; None for `raw`.

    Raises:
        InputError: If others than `raw` are asked for without a Gaussian.
    """
    if name == "raw":
        return RawCoordinates()
    if gaussian is None:
        msg = f"coordinates must be raw without the Gaussian of w, got {name}. Give it."
        raise InputError(msg)
    spread = (
        gaussian.axes * gaussian.std[:, None]
    )  # columns, [num_latents, w_dim, w_dim]
    if name == "whitened":
        inverse = gaussian.axes / gaussian.std[:, None]
        return Coordinates(gaussian.mean, spread.mT.contiguous(), inverse)
    std = spread.square().sum(dim=-1).sqrt()  # of each channel
    return Coordinates(gaussian.mean, torch.diag_embed(std), torch.diag_embed(1 / std))


def shared_layers(w: Tensor) -> list[int]:
    """Return how many consecutive layers share each latent, as `latent_repeats`.

    Args:
        w: [n, num_ws, w_dim]; layers share a latent if they do in all n.
    """
    differs = (w[:, 1:] != w[:, :-1]).any(dim=2).any(dim=0)  # [num_ws - 1]
    starts = [0, *(differs.nonzero().flatten() + 1).tolist(), w.shape[1]]
    return [end - start for start, end in pairwise(starts)]


@torch.no_grad()
def fit_generator_gaussian(
    generator: Generator,
    *,
    num_latents: int = 10_000,
    seed: int = 0,
    device: str = "cpu",
    batch_size: int = 1024,
) -> LatentGaussian:
    """Return where the generator's own w lie, one row for each of its layers.

    Args:
        generator: On the device.
        num_latents: z ~ N(0, I) to map.
        seed: Decides z.
        device: Where the generator is.
        batch_size: z mapped at a time.
    """
    random = make_generator(seed, "generator_cloud")
    z = torch.randn(num_latents, generator.z_dim, generator=random)
    batches = [
        generator.mapping(rows.to(device)) for rows in torch.split(z, batch_size)
    ]
    w = torch.cat(batches)
    layers = shared_layers(w)
    return repeat_gaussian(fit_gaussian(w[:, group_starts(layers)]), layers)


def repeat_gaussian(
    gaussian: LatentGaussian, latent_repeats: Sequence[int]
) -> LatentGaussian:
    """Return the Gaussian with one row for each layer of the generator.

    Args:
        gaussian: Of a prior's training data, one row for each of its latents.
        latent_repeats: Layers that each latent stands for.
    """
    rows = [row for row, count in enumerate(latent_repeats) for _ in range(count)]
    return select_rows(gaussian, rows, like=gaussian.mean)


def select_rows(
    gaussian: LatentGaussian, rows: Sequence[int], like: Tensor
) -> LatentGaussian:
    """Return the Gaussian of some layers, with its radii, on the device of `like`."""
    mean, axes, std = (
        values[list(rows)].to(like)
        for values in (gaussian.mean, gaussian.axes, gaussian.std)
    )
    return replace(gaussian, mean=mean, axes=axes, std=std)


def limit_distance(
    w: Tensor, centre: Tensor, gaussian: LatentGaussian, limit: Tensor
) -> Tensor:
    """Return w pulled straight towards a centre until it is no farther than a limit.

    In whitened coordinates this is the projection onto a ball, which never moves two
    points apart: a w that was near a point of the ball stays so.

    Args:
        w: [n, num_latents, w_dim].
        centre: Broadcastable to w.
        gaussian: Whose spread is the unit; one row for each latent.
        limit: [n], 0 or more.
    """
    offset = w - centre
    distance = gaussian.whiten(offset).square().mean(dim=(1, 2)).sqrt()
    scale = (limit / distance.clamp_min(1e-12)).clamp(max=1)
    return centre + scale[:, None, None] * offset
