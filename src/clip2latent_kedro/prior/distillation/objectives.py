"""The objectives that a student can be trained by, by name."""

from typing import Protocol

from torch import Tensor

from clip2latent_kedro.prior.batches import PairBatches
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.distillation.consistency import Consistency
from clip2latent_kedro.prior.distillation.endpoint import EndpointRegression
from clip2latent_kedro.prior.distillation.energy import EnergyScore
from clip2latent_kedro.prior.distillation.teacher import Teacher


class Objective(Protocol):
    """What a student's training step computes."""

    def __init__(
        self, teacher: Teacher, batches: PairBatches, *, seed: int, device: str
    ) -> None:
        """Prepare for a run.

        Args:
            teacher: On the device.
            batches: Pairs, `config.bs` at a time, on the device.
            seed: Of the run.
            device: Where to compute.
        """
        ...

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


OBJECTIVES: dict[str, type[Objective]] = {
    "energy": EnergyScore,
    "endpoint": EndpointRegression,
    "consistency": Consistency,
}
