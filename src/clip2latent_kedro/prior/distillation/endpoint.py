"""Distillation by regression on where the teacher's sampler ends.

Knowledge distillation of Luhman and Luhman (2021, arXiv 2101.02388): a deterministic
sampler is a function of its noise, and the student learns it from examples.
"""

from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.prior.batches import PairBatches
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.distillation.student import one_step
from clip2latent_kedro.prior.distillation.teacher import AnswerPool, Teacher


class EndpointRegression:
    """Mean squared distance of student and teacher from the same noise."""

    def __init__(
        self, teacher: Teacher, batches: PairBatches, *, seed: int, device: str
    ) -> None:
        """Put the parts together (see `Objective`)."""
        self._pool = AnswerPool(teacher, batches, seed=seed, device=device)

    def __call__(
        self, student: DiffusionPrior, average: DiffusionPrior, step: int
    ) -> Tensor:
        """Return the loss of a step (from 1), scalar."""
        answers = self._pool.answers(step)
        x0 = one_step(student, answers.x_T, answers.condition)
        return functional.mse_loss(x0, answers.x0)
