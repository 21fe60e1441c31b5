"""What is trained: networks, their optimisers, and the loss of a step."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from clip2latent_kedro.runtime import Precision

LOSS_SCORE = "validation_loss"  # the one score of which less is better

Module = TypeVar("Module", bound=nn.Module)


class Objective(NamedTuple):
    """A loss, and the optimiser of the weights that it moves.

    Attributes:
        optimizer: Its parameters have names. The learning rates that it is made with
            are those before any warm-up or decay.
        loss: Returns a scalar of the entries of a batch; one that needs no gradient
            moves nothing.
    """

    optimizer: Optimizer
    loss: Callable[..., Tensor]


def _nothing(step: int, is_validated: bool) -> Mapping[str, float]:
    return {}


@dataclass(frozen=True)
class Task:
    """Everything about a training but its loop (see `fit`).

    Attributes:
        network: Everything that learns, on its device.
        average: Of `averaged_copy`; it follows what it is a copy of.
        source: What that is; None for the whole network.
        objectives: Losses of a step, in the order in which weights move; the history
            tells of the first.
        batch: Returns what the losses of a step take, by name. All of it is a function
            of the step (from 1) alone, so that a training can stop and go on. Its
            entries have a row for each of the batch, of which the processes of a team
            take theirs.
        learning_rate: (rate of the optimiser, update from 1) -> rate.
        ema_decay: Update -> share of the average that it keeps.
        ema_every: Updates between two of the average.
        lr_setting: The learning rate as a user sets it, for a message.
        measure: (step, whether to validate) -> scores of the average, by name.
        best_by: The score by which the best average is kept; empty keeps none.
        clip_grad: Largest norm of the gradient of all weights; None for no limit.
        accumulate: Parts that a batch, whose entries are then rows of tensors, is
            split into; the gradient is that of the whole batch.
        precision: Of the losses' arithmetic; batches and weights are float32.
        num_rows: Rows of a batch whose losses take those of this process themselves;
            None where they do not.
        pictures: What `measure` has drawn, by step; the next state takes it along.
    """

    network: nn.Module
    average: nn.Module
    objectives: Sequence[Objective]
    batch: Callable[[int], Mapping[str, Any]]
    learning_rate: Callable[[float, int], float]
    ema_decay: Callable[[int], float]
    lr_setting: str
    source: nn.Module | None = None
    measure: Callable[[int, bool], Mapping[str, float]] = _nothing
    best_by: str = ""
    ema_every: int = 1
    clip_grad: float | None = None
    accumulate: int = 1
    precision: Precision = "float32"
    num_rows: int | None = None
    pictures: dict[int, np.ndarray] = field(default_factory=dict)


def averaged_copy(module: Module) -> Module:
    """Return a copy for averaged weights, which takes no gradient."""
    return copy.deepcopy(module).requires_grad_(False).eval()
