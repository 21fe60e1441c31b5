"""Distillation by consistency along the teacher's path.

f(x_t, t) = f(x_s, s) wherever one step of the teacher leads from x_t to x_s (Song et
al. 2023, arXiv 2303.01469), guidance included (Luo et al. 2023, arXiv 2310.04378).
From f(x_s, 0) = x_s at the clean end this spreads to pure noise, step by step.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from clip2latent_kedro.prior.batches import PairBatches
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.distillation.teacher import Teacher
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.schedules import respaced_timesteps, visited_levels

HUBER = 0.00054  # of Song and Dhariwal (2023, arXiv 2310.14189), times sqrt(d)


class Consistency:
    """Pseudo-Huber distance of f before and after a DDIM step of the teacher.

    The student is f, in the parametrisation of the prior; after the step its average
    is taken, which does not learn from it.
    """

    def __init__(
        self, teacher: Teacher, batches: PairBatches, *, seed: int, device: str
    ) -> None:
        """Plan the steps (see `Objective`); paths begin at noised x0 of the pairs."""
        alpha_bar = teacher.prior.alpha_bar
        timesteps = respaced_timesteps(
            len(alpha_bar), teacher.config.teacher_steps, spacing="trailing"
        )
        self._timesteps = torch.tensor([*timesteps, 0], device=device)  # ends clean
        self._levels = visited_levels(alpha_bar, timesteps).float().to(device)
        self._teacher = teacher
        self._batches = batches
        self._source: Iterator[tuple[Tensor, Tensor]] | None = None
        self._seed = seed
        self._device = device

    def __call__(
        self, student: DiffusionPrior, average: DiffusionPrior, step: int
    ) -> Tensor:
        """Return the loss of a step (from 1), scalar; steps come in rising order."""
        if self._source is None:
            self._source = self._batches.starting_at(step - 1)
        x0, clip_embedding = next(self._source)
        generator = make_generator(self._seed, "student", step, device=self._device)
        condition = self._teacher.draw_condition(clip_embedding, generator)
        num_steps = len(self._timesteps) - 1
        index = torch.randint(
            num_steps, (len(x0),), generator=generator, device=self._device
        )
        x0 = x0.repeat_interleave(self._teacher.config.num_samples, dim=0)
        noise = torch.randn(x0.shape, generator=generator, device=self._device)
        level, next_level = self._level(index, x0), self._level(index + 1, x0)
        x_t = level.sqrt() * x0 + (1 - level).sqrt() * noise

        t = self._timesteps[index]
        with torch.no_grad():
            clean = self._teacher.predict_x0(x_t, t, condition)
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


def pseudo_huber(x: Tensor, y: Tensor) -> Tensor:
    """Return sqrt(|x - y|^2 + c^2) - c, c = 0.00054 sqrt(d), by sqrt(d), the mean.

    Args:
        x: [n, num_latents, latent_dim].
        y: Likewise.
    """
    size = x[0].numel()
    c = HUBER * size**0.5
    squared = (x - y).flatten(1).square().sum(dim=1)
    distance: Tensor = ((squared + c**2).sqrt() - c) / size**0.5
    return distance.mean()
