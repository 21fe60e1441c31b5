"""A direction of w, along which an edit moves."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.editing.layers import check_layers
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Generator
from clip2latent_kedro.latents import LatentGaussian
from clip2latent_kedro.methods.digests import digest_arrays
from clip2latent_kedro.truncation import psi_within_gaussian

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Destination:
    """A place in a subspace of w, that a w is moved to from wherever it is.

    A w lies at `reader w` in the subspace, and `basis` leads from there to w: what a
    step of length 1 adds, basis^T (goal - reader w), ends at the goal, and changes
    nothing that the reader does not read.

    Attributes:
        basis: Rows span the subspace, [rank, w_dim].
        reader: Coordinates of a w in the basis, [rank, w_dim]; reader basis^T = I.
        goal: Where to, in the same coordinates, [rank].
    """

    basis: Tensor
    reader: Tensor
    goal: Tensor

    def step(self, w: Tensor) -> Tensor:
        """Return what leads each row of w, [n, num_ws, w_dim], all the way."""
        reader, basis = self.reader.to(w), self.basis.to(w)
        return (self.goal.to(w) - w @ reader.T) @ basis


@dataclass(frozen=True)
class Direction:
    """What one unit of strength adds to w.

    Attributes:
        name: Such as `smile`.
        offset: [num_ws, w_dim], or [1, w_dim] for all layers. Of one with a
            destination, the step from the mean of those that are not there yet.
        made_with: What it was learned with, as plain JSON; empty of a given one.
        layers: Rows of w that it moves; None for all.
        destination: Where a strength of 1 leads each w; None if all go the same way.
        preparation: Seconds that it took to learn, as in `EditMethod.preparation`.
    """

    name: str
    offset: Tensor
    made_with: Mapping[str, Any] = field(default_factory=dict)
    layers: Sequence[int] | None = None
    destination: Destination | None = None
    preparation: Mapping[str, float] = field(default_factory=dict)

    def step(self, w: Tensor) -> Tensor:
        """Return what a unit of strength adds to w, both [n, num_ws, w_dim].

        Rows other than `layers` are zero.
        """
        if self.destination is None:
            step = self.offset.to(w).expand_as(w)
        else:
            step = self.destination.step(w)
        if self.layers is None:
            return step
        moves = torch.zeros(w.shape[1], 1).to(w)
        moves[list(self.layers)] = 1
        return step * moves

    def check_fit(self, generator: Generator) -> None:
        """Check that the direction is one of a generator's w.

        One that was learned on another generator is told in the log: a network that
        was trained on from another often keeps its directions.

        Raises:
            InputError: If the shape or a layer is not the generator's.
        """
        num_ws, w_dim = generator.num_ws, generator.w_dim
        rows, channels = self.offset.shape
        if rows not in (1, num_ws) or channels != w_dim:
            msg = (
                f"The direction {self.name} must have the shape [1 or {num_ws}, "
                f"{w_dim}], got {[rows, channels]}. Use a direction of the w of "
                f"{generator.identity.name}."
            )
            raise InputError(msg)
        check_layers(self.layers or (), num_ws, f"The layers of {self.name}")
        learned_on = self.made_with.get("generator", generator.identity.digest)
        if learned_on != generator.identity.digest:
            logger.warning(
                "The direction %s was learned on another generator than %s.",
                self.name,
                generator.identity,
            )


Moves = Sequence[tuple[Direction, float | Tensor]]
"""Directions with their strengths; a strength is one for all, or [n]."""


def apply_directions(
    w: Tensor,
    moves: Moves,
    *,
    layers: Sequence[int] | None = None,
    cloud: LatentGaussian | None = None,
    quantile: float = 1.0,
) -> Tensor:
    """Return w + sum_i strength_i step_i(w), [n, num_ws, w_dim].

    Every step starts from w as it is given, so that the order does not matter.

    Args:
        w: [n, num_ws, w_dim]; returned as it is if all strengths are 0.
        moves: Directions with their strengths.
        layers: Rows that may move; None for all.
        cloud: Where latents lie, one row for each layer; None for no limit.
        quantile: Share of the cloud that an edit stays within (see `stay_within`).

    Raises:
        InputError: If there is no such layer.
    """
    edited = w
    for direction, strength in moves:
        if torch.is_tensor(strength) or strength != 0:
            weight = torch.as_tensor(strength).to(w).expand(len(w))
            edited = edited + weight[:, None, None] * direction.step(w)
    if edited is w:
        return w
    if layers is not None:
        check_layers(layers, w.shape[1], "layers")
        moved, edited = edited, w.clone()
        edited[:, list(layers)] = moved[:, list(layers)]
    return edited if cloud is None else stay_within(w, edited, cloud, quantile)


def sweep_direction(
    w: Tensor, direction: Direction, strengths: Sequence[float], **limits: Any
) -> Tensor:
    """Return w at several strengths, [num_strengths, n, num_ws, w_dim].

    Args:
        w: [n, num_ws, w_dim].
        direction: Along which to move.
        strengths: In the direction's own unit; 0 is w.
        limits: As `apply_directions` takes them.
    """
    return torch.stack(
        [apply_directions(w, [(direction, value)], **limits) for value in strengths]
    )


def stay_within(
    w: Tensor, edited: Tensor, cloud: LatentGaussian, quantile: float
) -> Tensor:
    """Return edits that are cut off where they leave the cloud, [n, num_ws, w_dim].

    Each goes straight from w towards where it was to go, as far as it stays among that
    share of the cloud. A w that lies outside already goes no farther out than it is.

    Args:
        w: Where the edits start, [n, num_ws, w_dim].
        edited: Where they were to go, likewise.
        cloud: Gaussian of latents, one row for each layer.
        quantile: Share of the cloud, 0 to 1.
    """
    psi = psi_within_gaussian(edited, w, cloud, quantile)[:, None, None]
    return torch.lerp(w, edited, psi)


def digest_direction(direction: Direction) -> str:
    """Return a SHA-256 (hex) of what decides a direction's edits."""
    parts = {"offset": direction.offset}
    if direction.destination is not None:
        parts |= vars(direction.destination)
    if direction.layers is not None:
        parts["layers"] = torch.tensor(list(direction.layers))
    return digest_arrays(parts)
