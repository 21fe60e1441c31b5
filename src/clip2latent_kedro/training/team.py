"""A team: processes that train one network together, each on its rows of a batch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from clip2latent_kedro.engines.groups import Seat
from clip2latent_kedro.errors import InputError

Shared = TypeVar("Shared")


@dataclass(frozen=True)
class Team:
    """The place of this process among those that train together.

    With a size of 1 nothing is asked of torch.distributed; else its default group is
    the team's.

    Attributes:
        rank: Of this process, from 0; the first measures and stores.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def at(cls, seat: Seat) -> "Team":
        """Return the team of a seat."""
        return cls(seat.rank, seat.size)

    @property
    def is_first(self) -> bool:
        """Whether this process measures and stores."""
        return self.rank == 0

    def rows(self, num: int, rank: int | None = None) -> slice:
        """Return the rows of one process; sizes differ by one row at most.

        Args:
            num: Rows of all.
            rank: Whose; None for this process's own.
        """
        rank = self.rank if rank is None else rank
        return slice(rank * num // self.size, (rank + 1) * num // self.size)

    def own(self, tensor: Tensor, num: int) -> Tensor:
        """Return this process's rows of a tensor that has k of them for each of num."""
        rows, k = self.rows(num), len(tensor) // num
        return tensor[rows.start * k : rows.stop * k]

    def share(self, num: int) -> float:
        """Return which share of so many rows this process has."""
        rows = range(num)[self.rows(num)]
        return len(rows) / num

    def check_batch(self, num: int, setting: str) -> None:
        """Raise `InputError` if somebody would be left without a row.

        Args:
            num: Rows of a batch.
            setting: What sets it, for the message.
        """
        if num < self.size:
            msg = (
                f"{setting} must be at least the {self.size} workers of the training, "
                f"got {num}. Raise it, or lower engines.training.workers."
            )
            raise InputError(msg)

    def fill(self, rows: Tensor) -> None:
        """Take over the rows of the others, in place.

        Args:
            rows: [n, ...], of which `rows(n)` are right in each process before.
        """
        if self.size == 1:
            return
        for rank in range(self.size):
            part = rows[self.rows(len(rows), rank)]
            if len(part):
                distributed.broadcast(part, src=rank)

    def sum(self, share: Tensor) -> Tensor:
        """Return the sum of what all have, the same everywhere."""
        if self.size == 1:
            return share
        total = share.clone()
        distributed.all_reduce(total)
        return total

    def broadcast(self, thing: Shared) -> Shared:
        """Return what the first process has; that of others is passed over."""
        if self.size == 1:
            return thing
        shared: list[Any] = [thing if self.is_first else None]
        cpu = torch.device("cpu")
        distributed.broadcast_object_list(shared, src=0, device=cpu)
        first: Shared = shared[0]
        return first

    def synchronise(
        self,
        loss: Callable[..., Tensor],
        weights: Iterable[nn.Parameter],
        entries: Mapping[str, Any],
    ) -> Callable[..., Tensor]:
        """Return a loss whose gradient becomes the mean of the team's as it is taken.

        Args:
            loss: Of entries of a batch, by name.
            weights: What it may depend on, on one device; the first process's weights
                become those of all.
            entries: Such as it takes, by which is seen which of them it does depend on.
        """
        weights = list(weights)
        with torch.compiler.set_stance("force_eager"), torch.enable_grad():
            value = loss(**entries)
            gradients: Sequence[Tensor | None] = [None for _ in weights]
            if value.requires_grad:
                gradients = torch.autograd.grad(value, weights, allow_unused=True)
        counted = value.new_tensor([gradient is not None for gradient in gradients])
        is_used = [bool(count) for count in self.sum(counted)]
        used = [w for w, moves in zip(weights, is_used, strict=True) if moves]
        return DistributedDataParallel(_Loss(loss, used)) if used else loss


class _Loss(nn.Module):
    """A loss as a module of the weights that it moves, which torch can watch."""

    def __init__(
        self, loss: Callable[..., Tensor], weights: Iterable[nn.Parameter]
    ) -> None:
        super().__init__()
        self.weights = nn.ParameterList(weights)
        self._loss = loss

    def forward(self, **entries: Any) -> Tensor:
        return self._loss(**entries)


ALONE = Team()
