"""Distillation by the energy score: the same distribution, by whatever map.

A regression on samples must also find the teacher's own map from noise to x0; as far
as it fails, its samples draw together. A proper score of the distribution does not
care for the map. It is what engression trains with (Shen and Meinshausen 2023,
arXiv 2307.00835), and the distributional diffusion models of De Bortoli et al. (2025,
arXiv 2502.02483).
"""

import torch
from torch import Tensor

from clip2latent_kedro.prior.batches import PairBatches
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.distillation.student import one_step
from clip2latent_kedro.prior.distillation.teacher import AnswerPool, Teacher
from clip2latent_kedro.runtime import make_generator


class EnergyScore:
    """E|X - Y| - E|X - X'| / 2 of student X and teacher Y, for each condition.

    Over all distributions of X it is least for that of Y alone (Gneiting and Raftery
    2007, Eq. 22). X and Y have noises of their own.
    """

    def __init__(
        self, teacher: Teacher, batches: PairBatches, *, seed: int, device: str
    ) -> None:
        """Put the parts together (see `Objective`)."""
        self._pool = AnswerPool(teacher, batches, seed=seed, device=device)
        self._seed = seed
        self._device = device

    def __call__(
        self, student: DiffusionPrior, average: DiffusionPrior, step: int
    ) -> Tensor:
        """Return the loss of a step (from 1), scalar."""
        answers = self._pool.answers(step)
        generator = make_generator(self._seed, "student", step, device=self._device)
        x_T = torch.randn(answers.x0.shape, generator=generator, device=self._device)
        x0 = one_step(student, x_T, answers.condition)
        num = len(answers.condition)
        return energy_score(by_condition(x0, num), by_condition(answers.x0, num))


def energy_score(x: Tensor, y: Tensor) -> Tensor:
    """Return E|X - Y| - E|X - X'| / 2, divided by sqrt(d), the mean over conditions.

    Args:
        x: Samples whose score it is, k >= 2 of each condition, [m, k, d].
        y: Independent samples to be like, [m, l, d].
    """
    across = torch.cdist(x, y, compute_mode=_EXACT).mean()
    score: Tensor = (across - _mean_distance(x) / 2) / x.shape[-1] ** 0.5
    return score


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return 2 E|X - Y| - E|X - X'| - E|Y - Y'|, divided by sqrt(d).

    It is 0 for equal distributions, and above for others (Szekely and Rizzo 2013),
    but for chance: the estimate has no bias, and so may fall below 0.

    Args:
        x: Samples, k >= 2 of each condition, [m, k, d].
        y: Independent samples, likewise, [m, l, d].
    """
    distance: Tensor = 2 * energy_score(x, y) - _mean_distance(y) / y.shape[-1] ** 0.5
    return distance


def by_condition(x0: Tensor, num: int) -> Tensor:
    """Return latents, [num * k, num_latents, latent_dim], as [num, k, d]."""
    return x0.reshape(num, len(x0) // num, -1)


def _mean_distance(x: Tensor) -> Tensor:
    """Return the mean distance of different samples of a condition, [m, k, d]."""
    num, k = x.shape[:2]
    return torch.cdist(x, x, compute_mode=_EXACT).sum() / (num * k * (k - 1))


_EXACT = "donot_use_mm_for_euclid_dist"  # the fast way has no digits near zero
