"""The objectives that a student can be trained by, by name.

`energy`: the same distribution, by whatever map. A regression on samples must also
find the teacher's own map from noise to x0; as far as it fails, its samples draw
together. A proper score of the distribution does not care for the map. It is what
engression trains with (Shen and Meinshausen 2023, arXiv 2307.00835), and the
distributional diffusion models of De Bortoli et al. (2025, arXiv 2502.02483).

`endpoint`: regression on where the teacher's sampler ends, the knowledge distillation
of Luhman and Luhman (2021, arXiv 2101.02388): a deterministic sampler is a function of
its noise, and the student learns it from examples.

`consistency`: f(x_t, t) = f(x_s, s) wherever one step of the teacher leads from x_t to
x_s (Song et al. 2023, arXiv 2303.01469), guidance included (Luo et al. 2023, arXiv
2310.04378). From f(x_s, 0) = x_s at the clean end this spreads to pure noise, step by
step.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.pairs.batches import PairBatches
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.distillation.energy import by_condition, energy_score
from clip2latent_kedro.prior.distillation.student import one_step
from clip2latent_kedro.prior.distillation.teacher import SamplePool, Teacher
from clip2latent_kedro.schedules import respaced_timesteps, visited_levels

HUBER = 0.00054  # of Song and Dhariwal (2023, arXiv 2310.14189), times sqrt(d)


class Distillation(ABC):
    """What a student learns from."""

    def __init__(self, teacher: Teacher, batches: PairBatches) -> None:
        """Prepare for a run.

        Args:
            teacher: On the device.
            batches: Pairs, `config.bs` at a time, on the device.
        """
        self.teacher = teacher
        self.batches = batches
        self.pool = SamplePool(teacher, batches)

    @abstractmethod
    def loss(
        self, student: DiffusionPrior, average: DiffusionPrior, step: int
    ) -> Tensor:
        """Return the loss, a scalar that is a function of the weights and the step.

        In a team's process it is that of its own conditions, each a row of the batch.

        Args:
            student: To be trained.
            average: The student with averaged weights, which take no gradient.
            step: From 1 on.
        """


class EndpointRegression(Distillation):
    """Mean squared distance of student and teacher from the same noise."""

    def loss(
        self, student: DiffusionPrior, average: DiffusionPrior, step: int
    ) -> Tensor:
        """Return the loss of a step, scalar."""
        samples = self.pool.samples(step)
        x0 = one_step(student, samples.x_T, samples.condition)
        return functional.mse_loss(x0, samples.x0)


class EnergyScore(Distillation):
    """E|X - Y| - E|X - X'| / 2 of student X and teacher Y, for each condition.

    Over all distributions of X it is least for that of Y alone (Gneiting and Raftery
    2007, Eq. 22). X and Y have noises of their own.
    """

    def loss(
        self, student: DiffusionPrior, average: DiffusionPrior, step: int
    ) -> Tensor:
        """Return the loss of a step, scalar."""
        samples = self.pool.samples(step)
        y = samples.x0
        generator = self.teacher.random("student", step)
        config = self.teacher.config
        shape = (config.bs * config.num_samples, *y.shape[1:])
        x_T = torch.randn(shape, generator=generator, device=y.device)
        x_T = self.batches.team.own(x_T, config.bs)
        x0 = one_step(student, x_T, samples.condition)
        num = len(samples.condition)
        return energy_score(by_condition(x0, num), by_condition(y, num))


class Consistency(Distillation):
    """Pseudo-Huber distance of f before and after a DDIM step of the teacher.

    The student is f, in the parametrisation of the prior; after the step its average
    is taken, which does not learn from it. Paths begin at noised x0 of the pairs.
    """

    def __init__(self, teacher: Teacher, batches: PairBatches) -> None:
        """Plan the teacher's steps, across which the student is to agree."""
        super().__init__(teacher, batches)
        alpha_bar = teacher.prior.alpha_bar
        timesteps = respaced_timesteps(
            len(alpha_bar), teacher.config.teacher_steps, spacing="trailing"
        )
        device = alpha_bar.device
        self._timesteps = torch.tensor([*timesteps, 0], device=device)  # ends clean
        self._levels = visited_levels(alpha_bar, timesteps).float().to(device)

    def loss(
        self, student: DiffusionPrior, average: DiffusionPrior, step: int
    ) -> Tensor:
        """Return the loss of a step, scalar."""
        teacher = self.teacher
        x0, clip_embedding = self.batches(step)
        generator = teacher.random("student", step)
        condition = teacher.random_condition(clip_embedding, generator)
        num_steps = len(self._timesteps) - 1
        index = torch.randint(
            num_steps, (len(x0),), generator=generator, device=x0.device
        )
        x0 = x0.repeat_interleave(teacher.config.num_samples, dim=0)
        noise = torch.randn(x0.shape, generator=generator, device=x0.device)
        x0, noise, condition, index = (
            self.batches.team.own(drawn, len(index))
            for drawn in (x0, noise, condition, index)
        )
        level, next_level = self._level(index, x0), self._level(index + 1, x0)
        x_t = level.sqrt() * x0 + (1 - level).sqrt() * noise

        t = self._timesteps[index]
        with torch.no_grad():
            clean = teacher.predict_x0(x_t, t, condition)
            eps = (x_t - level.sqrt() * clean) / (1 - level).sqrt()
            x_s = next_level.sqrt() * clean + (1 - next_level).sqrt() * eps
            s = self._timesteps[index + 1]
            target = torch.where(
                next_level == 1, x_s, average.predict_x0(x_s, s, condition)
            )
        return pseudo_huber(student.predict_x0(x_t, t, condition), target)

    def _level(self, index: Tensor, like: Tensor) -> Tensor:
        """Return the signal level of each latent, [n, 1, 1], of indices [m]."""
        repeats = len(like) // len(index)
        return self._levels[index].repeat_interleave(repeats)[:, None, None]


OBJECTIVES: dict[str, type[Distillation]] = {
    "energy": EnergyScore,
    "endpoint": EndpointRegression,
    "consistency": Consistency,
}


def pseudo_huber(x: Tensor, y: Tensor) -> Tensor:
    """Return sqrt(|x - y|^2 + c^2) - c, c = 0.00054 sqrt(d), by sqrt(d), the mean.

    Args:
        x: [n, num_latents, latent_dim].
        y: What x is to come near to, of the same shape.
    """
    size = x[0].numel()
    c = HUBER * size**0.5
    squared = (x - y).flatten(1).square().sum(dim=1)
    distance: Tensor = ((squared + c**2).sqrt() - c) / size**0.5
    return distance.mean()
