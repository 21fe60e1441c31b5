"""One update of the weights of a task, and the state that updates leave behind."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from clip2latent_kedro.runtime import arithmetic
from clip2latent_kedro.training.optimizer import (
    optimizer_tensors,
    restore_optimizers,
    restore_scaler,
    scaler_tensors,
)
from clip2latent_kedro.training.task import Task
from clip2latent_kedro.training.team import ALONE, Team


class Updates:
    """The updates of a task's weights and of their average, one a step."""

    def __init__(self, task: Task, team: Team = ALONE) -> None:
        """Begin.

        Args:
            task: Its network is on its device.
            team: With whom it is trained; each process moves its weights by the
                gradient of the whole batch, of which it looks at its own rows.
        """
        self._task, self._team = task, team
        self._losses: dict[int, Callable[..., Tensor]] = {}  # of a team, by objective
        self._device = next(task.network.parameters()).device
        self._scaler = torch.amp.GradScaler(
            self._device.type, enabled=task.precision == "float16"
        )
        self._optimizers = [objective.optimizer for objective in task.objectives]
        self._rates = [
            [group["lr"] for group in optimizer.param_groups]
            for optimizer in self._optimizers
        ]
        # These share their memory with the networks. What is averaged are weights and
        # the statistics of normalising layers; what counts, such as batches, is copied.
        source = task.network if task.source is None else task.source
        followed, average = source.state_dict(), task.average.state_dict()
        pairs = [(average[name], followed[name]) for name in average]
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._copied = [pair for pair in pairs if not pair[0].is_floating_point()]

    def step(self, step: int) -> Tensor:
        """Update weights and average; return the first loss before, detached.

        Of a team's process it is its share, and the sum of all is the loss.

        Args:
            step: 1 or more.
        """
        task = self._task
        update = self._num_updates(step - 1) + 1
        for optimizer, rates in zip(self._optimizers, self._rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = task.learning_rate(rate, update)
        batch, share = self._own_rows(task.batch(step))
        losses = [
            self._descend(number, batch, share)
            for number in range(len(self._optimizers))
        ]
        self._scaler.update()

        is_updated = self._num_updates(step) >= update
        if is_updated and update % task.ema_every == 0:
            self._follow(task.ema_decay(update))
        return losses[0]

    def state(self) -> dict[str, Tensor]:
        """Return the state of optimisers and scaler, on their device."""
        states = map(optimizer_tensors, self._optimizers)
        items = chain.from_iterable(state.items() for state in states)
        return {**dict(items), **scaler_tensors(self._scaler)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned.

        Raises:
            InputError: If it is the state of other optimisers or weights.
        """
        restore_optimizers(self._optimizers, tensors)
        restore_scaler(self._scaler, tensors)

    def _num_updates(self, step: int) -> int:
        """Return how often the weights have moved in so many steps.

        float16 skips steps whose gradients overflow; the optimiser counts the others.
        """
        if not self._scaler.is_enabled():
            return step
        states = list(self._optimizers[0].state.values())
        return int(states[0].get("step", 0)) if states else 0

    def _own_rows(self, batch: Mapping[str, Any]) -> tuple[Mapping[str, Any], float]:
        """Return this process's rows of a batch, and which share of all they are."""
        team, num = self._team, self._task.num_rows
        if team.size == 1:
            return batch, 1.0
        if num is not None:  # the task has taken its rows
            return batch, team.share(num)
        num = len(next(iter(batch.values())))
        rows = team.rows(num)
        return {name: entry[rows] for name, entry in batch.items()}, team.share(num)

    def _descend(self, number: int, batch: Mapping[str, Any], share: float) -> Tensor:
        """Move the weights of an objective; return its share of the loss, detached."""
        task, objective = self._task, self._task.objectives[number]
        optimizer, loss_of = objective.optimizer, self._loss_of(number, batch)
        optimizer.zero_grad()
        total = torch.zeros((), device=self._device)
        moves = False
        *before, last = _split(batch, task.accumulate)
        for part, fraction in (*before, last):
            # Gradients of a team come together once, with the last part.
            with _apart(loss_of) if part is not last[0] else nullcontext():
                with arithmetic(task.precision, str(self._device)):
                    loss = loss_of(**part) * (fraction * share)
                if loss.requires_grad:  # of which a team takes the mean, not the sum
                    whole = self._scaler.scale(loss * self._team.size)
                    whole.backward()  # type: ignore[no-untyped-call]
                    moves = True
            total += loss.detach()
        if moves:
            if task.clip_grad is not None:
                self._scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(task.network.parameters(), task.clip_grad)
            self._scaler.step(optimizer)
        return total

    def _loss_of(self, number: int, batch: Mapping[str, Any]) -> Callable[..., Tensor]:
        """Return the loss of an objective, whose gradient is the team's."""
        objective = self._task.objectives[number]
        if self._team.size == 1:
            return objective.loss
        if number not in self._losses:
            groups = objective.optimizer.param_groups
            weights = [weight for group in groups for weight in group["params"]]
            part, _ = next(_split(batch, self._task.accumulate))
            self._losses[number] = self._team.synchronise(objective.loss, weights, part)
        return self._losses[number]

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        """Move the average: decay * average + (1 - decay) * weights."""
        average, followed = zip(*self._averaged, strict=True)
        torch._foreach_lerp_(average, followed, 1 - decay)
        for count, other in self._copied:
            count.copy_(other)


def _apart(loss: Callable[..., Tensor]) -> AbstractContextManager[None]:
    """Return the context in which gradients of a team stay with each process."""
    if isinstance(loss, DistributedDataParallel):
        return loss.no_sync()
    return nullcontext()


def _split(
    batch: Mapping[str, Any], num_parts: int
) -> Iterator[tuple[Mapping[str, Any], float]]:
    """Yield the parts of a batch, each with its share of the rows."""
    if num_parts == 1:
        yield batch, 1.0
        return
    rows = [tensor.chunk(num_parts) for tensor in batch.values()]
    num_rows = sum(len(part) for part in rows[0])
    for part in zip(*rows, strict=True):
        yield dict(zip(batch, part, strict=True)), len(part[0]) / num_rows
