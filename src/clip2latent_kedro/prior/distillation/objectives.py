"""The objectives that a student can be trained by, by name."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from clip2latent_kedro.prior.batches import PairBatches
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.distillation.consistency import Consistency
from clip2latent_kedro.prior.distillation.endpoint import EndpointRegression
from clip2latent_kedro.prior.distillation.energy import EnergyScore
from clip2latent_kedro.prior.distillation.teacher import AnswerPool, Teacher


class Objective(Protocol):
    """What a student's training step computes."""

    def __call__(
        self, student: DiffusionPrior, average: DiffusionPrior, step: int
    ) -> Tensor:
        """Return the loss, a scalar that is a function of the weights and the step.

        Args:
            student: To be trained.
            average: The same with averaged weights, which take no gradient.
            step: From 1 on; steps come in rising order, from any of them on.
        """
        ...


def _energy(
    teacher: Teacher, batches: PairBatches, seed: int, device: str
) -> Objective:
    pool = AnswerPool(teacher, batches, seed=seed, device=device)
    return EnergyScore(pool, seed=seed, device=device)


def _endpoint(
    teacher: Teacher, batches: PairBatches, seed: int, device: str
) -> Objective:
    return EndpointRegression(AnswerPool(teacher, batches, seed=seed, device=device))


def _consistency(
    teacher: Teacher, batches: PairBatches, seed: int, device: str
) -> Objective:
    return Consistency(teacher, batches, seed=seed, device=device)


OBJECTIVES: dict[str, Callable[[Teacher, PairBatches, int, str], Objective]] = {
    "energy": _energy,
    "endpoint": _endpoint,
    "consistency": _consistency,
}
