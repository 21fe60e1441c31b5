"""Principal components of w (GANSpace, Harkonen et al. 2020).

With v_k the k-th principal axis of w and sigma_k its standard deviation, an edit adds
strength * sigma_k v_k to some layers, or moves a w to a place on the axis: what leads
it there is (s - coordinate) sigma_k v_k.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clip2latent_kedro.editing.directions.direction import Destination, Direction
from clip2latent_kedro.errors import InputError


@dataclass(frozen=True)
class PrincipalComponents:
    """The principal components of w.

    Attributes:
        mean: [w_dim].
        axes: Unit rows, those along which w varies most first, [k, w_dim].
        std: Of w along each, [k].
    """

    mean: Tensor
    axes: Tensor
    std: Tensor

    def coordinates(self, w: Tensor) -> Tensor:
        """Return w in standard deviations along the axes, [..., k] of [..., w_dim]."""
        centred = w - self.mean.to(w)
        return centred @ self.axes.to(w).T / self.std.to(w)

    def direction(
        self, component: int, layers: Sequence[int] | None = None
    ) -> Direction:
        """Return the direction that adds strength * sigma_k v_k.

        Args:
            component: k, from 0.
            layers: Rows of w that move; None for all.

        Raises:
            InputError: If there is no such component.
        """
        self._check(component)
        offset = self.std[component] * self.axes[component]
        return Direction(f"component_{component}", offset[None], layers=layers)

    def place(
        self, component: int, coordinate: float, layers: Sequence[int] | None = None
    ) -> Direction:
        """Return the transport to a place on an axis, all the way at strength 1.

        Args:
            component: k, from 0.
            coordinate: s, in standard deviations from the mean.
            layers: Rows of w that move; None for all.

        Raises:
            InputError: If there is no such component.
        """
        self._check(component)
        axis, std = self.axes[component], self.std[component]
        goal = axis @ self.mean + coordinate * std
        destination = Destination(axis[None], axis[None], goal[None])
        offset = coordinate * std * axis
        name = f"component_{component}_at_{coordinate:g}"
        return Direction(name, offset[None], layers=layers, destination=destination)

    def _check(self, component: int) -> None:
        if not 0 <= component < len(self.std):
            msg = (
                f"component must be of 0 to {len(self.std) - 1}, got {component}. "
                f"Measure more components, or take another."
            )
            raise InputError(msg)


def fit_components(w: Tensor, num_components: int) -> PrincipalComponents:
    """Return the first principal components of w, [n, w_dim].

    The largest entry of each axis is positive: which way an axis points is a matter of
    convention, and this one is the same on each machine.

    Args:
        w: More than one.
        num_components: At most; there are no more than w has channels.
    """
    exact = w.double()
    mean = exact.mean(dim=0)
    centred = exact - mean
    variance, columns = torch.linalg.eigh(centred.T @ centred / max(1, len(w) - 1))
    axes = columns.T.flip(0)[:num_components]
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
    std = variance.flip(0)[:num_components].clamp_min(0).sqrt().clamp_min(1e-8)
    return PrincipalComponents(
        mean.float(), (axes * largest.sign()).float(), std.float()
    )


def find_component(
    components: PrincipalComponents, w: Tensor, has: Tensor
) -> tuple[int, float]:
    """Return the component that tells best who has an attribute, and its sign.

    Args:
        components: Of w.
        w: [n, w_dim].
        has: Which have it, [n] bool.

    Returns:
        The number of the component along which the mean of those that have it lies
        farthest from that of the rest, in standard deviations; 1 if it lies on the
        positive side, -1 else.
    """
    coordinates = components.coordinates(w)
    difference = coordinates[has].mean(dim=0) - coordinates[~has].mean(dim=0)
    best = int(difference.abs().argmax())
    return best, 1.0 if difference[best] >= 0 else -1.0
