"""One update of the weights of a task, and the state that updates leave behind."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from clip2latent_kedro.runtime import arithmetic
from clip2latent_kedro.training.optimizer import (
    optimizer_tensors,
    restore_optimizers,
    restore_scaler,
    scaler_tensors,
)
from clip2latent_kedro.training.task import Objective, Task


class Updates:
    """The updates of a task's weights and of their average, one a step."""

    def __init__(self, task: Task) -> None:
        """Begin; the network of the task is on its device."""
        self._task = task
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

        Args:
            step: 1 or more.
        """
        task = self._task
        update = self._num_updates(step - 1) + 1
        for optimizer, rates in zip(self._optimizers, self._rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = task.learning_rate(rate, update)
        batch = task.batch(step)
        losses = [self._descend(objective, batch) for objective in task.objectives]
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

    def _descend(self, objective: Objective, batch: Mapping[str, Any]) -> Tensor:
        """Move the weights of an objective; return its loss before, detached."""
        task, optimizer = self._task, objective.optimizer
        optimizer.zero_grad()
        total = torch.zeros((), device=self._device)
        moves = False
        for part, fraction in _split(batch, task.accumulate):
            with arithmetic(task.precision, str(self._device)):
                loss = objective.loss(**part) * fraction
            if loss.requires_grad:
                self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                moves = True
            total += loss.detach()
        if moves:
            if task.clip_grad is not None:
                self._scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(task.network.parameters(), task.clip_grad)
            self._scaler.step(optimizer)
        return total

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        """Move the average: decay * average + (1 - decay) * weights."""
        average, followed = zip(*self._averaged, strict=True)
        torch._foreach_lerp_(average, followed, 1 - decay)
        for count, other in self._copied:
            count.copy_(other)


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
