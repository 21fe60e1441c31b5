"""What a training run has measured, and its best weights so far."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.prior.config import LOSS_SCORE
from clip2latent_kedro.prior.diffusion import DiffusionPrior


@dataclass(frozen=True)
class Validation:
    """What a prior can do after some steps.

    Attributes:
        scores: By name; of each, more is better.
        picture: Samples to look at, uint8 [h, w, 3]; None if there are none.
    """

    scores: Mapping[str, float]
    picture: np.ndarray | None = None


Validate = Callable[[DiffusionPrior, int], Validation]
"""(averaged prior, step) -> Validation; its random numbers are its own."""


class Record:
    """The rows that were measured, and the averaged weights that did best.

    Attributes:
        history: See `Checkpoint`.
        best: State dict; empty before there is one.
        best_step: Its step, 0 before there is one.
    """

    def __init__(self, best_by: str, start: Checkpoint | None) -> None:
        """Go on where `start` stopped, if there is one.

        Args:
            best_by: `validation_loss`, or a score that validation finds.
            start: Of the same `best_by`.
        """
        self.history = [] if start is None else list(start.history)
        self.best: dict[str, Tensor] = {} if start is None else start.best
        self.best_step = 0 if start is None else start.best_step
        self._best_by = best_by

    def add(
        self, step: int, loss: float, scores: Mapping[str, float]
    ) -> dict[str, float]:
        """Append a row and return it; a score that is not finite is left out.

        Args:
            step: Later than all before.
            loss: Mean of the training loss since the row before.
            scores: Of the averaged weights.
        """
        finite = {name: x for name, x in scores.items() if math.isfinite(x)}
        row = {"step": step, "loss": loss, **finite}
        self.history.append(row)
        return row

    def keep_if_best(
        self, row: Mapping[str, float], weights: Callable[[], dict[str, Tensor]]
    ) -> None:
        """Keep the weights of a row's step unless earlier ones did better.

        Args:
            row: Of `add`; never the best if it lacks the score.
            weights: Returns a copy of the averaged weights.
        """
        if self._best_by not in row:
            return
        if self.best_step:
            (best,) = (r for r in self.history if r["step"] == self.best_step)
            gain = row[self._best_by] - best[self._best_by]
            if (-gain if self._best_by == LOSS_SCORE else gain) < 0:
                return
        self.best, self.best_step = weights(), int(row["step"])
