"""How close a student has come to its teacher."""

import torch
from torch import Tensor

from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.distillation.energy import by_condition, energy_distance
from clip2latent_kedro.prior.distillation.student import one_step
from clip2latent_kedro.prior.distillation.teacher import Teacher
from clip2latent_kedro.training import LOSS_SCORE

NUM_CONDITIONS = 256


class StudentComparison:
    """Compares samples of student and teacher, at the same conditions each time."""

    def __init__(self, teacher: Teacher, clip_embedding: Tensor) -> None:
        """Sample from the teacher.

        Args:
            teacher: On the device.
            clip_embedding: Of images that nobody was trained on, [n, clip_dim], on
                the device; the first of them are used, and there may be none.
        """
        chosen = clip_embedding[:NUM_CONDITIONS]
        generator = teacher.random("comparison")
        self._condition = teacher.random_condition(chosen, generator)
        self._num_samples = teacher.config.num_samples
        shape = (len(chosen) * self._num_samples, *teacher.prior.latent_shape)
        self._x_T = torch.randn(shape, generator=generator, device=chosen.device)
        self._teacher_x0 = self._x_T
        if len(chosen):
            self._teacher_x0 = teacher.sample(self._condition, generator).x0

    @torch.no_grad()
    def __call__(self, student: DiffusionPrior) -> dict[str, float]:
        """Return scores of a student; none if there is nothing to compare with.

        `validation_loss` is the energy distance to the teacher's samples of the same
        condition; `spread` the standard deviation among the student's, divided by
        that among the teacher's: below 1 the student's samples are too much alike.
        """
        num = len(self._condition)
        if num == 0:
            return {}
        x = by_condition(one_step(student, self._x_T, self._condition), num)
        y = by_condition(self._teacher_x0, num)
        ratio = x.var(dim=1).mean() / y.var(dim=1).mean()
        return {LOSS_SCORE: float(energy_distance(x, y)), "spread": float(ratio.sqrt())}
