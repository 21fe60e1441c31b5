"""What the teacher is asked, and its samples, each of which may be used again."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.pairs.batches import PairBatches
from clip2latent_kedro.prior.diffusion import DiffusionPrior, perturb_embedding
from clip2latent_kedro.prior.distillation.config import DistillationConfig
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.samplers.dpmpp import sample_dpmpp_2m
from clip2latent_kedro.schedules import respaced_timesteps
from clip2latent_kedro.training.team import ALONE, Team


@dataclass(frozen=True)
class TeacherSamples:
    """A teacher's samples, `num_samples` in a row of each condition.

    Attributes:
        condition: As the student takes them, [m, width]; the guidance scale is the
            last column, and all before are the teacher's own condition.
        x_T: Pure noise, [m * num_samples, num_latents, latent_dim].
        x0: Where the teacher's deterministic sampler ends, of the same shape.
    """

    condition: Tensor
    x_T: Tensor
    x0: Tensor


@dataclass(frozen=True)
class Teacher:
    """A trained prior, asked about random conditions.

    Attributes:
        prior: On its device, its weights fixed.
        config: `params:distillation`.
        seed: Seed of the run.
    """

    prior: DiffusionPrior
    config: DistillationConfig
    seed: int

    def random(self, *path: int | str) -> torch.Generator:
        """Return the source of random numbers of one purpose, on its device."""
        device = str(self.prior.alpha_bar.device)
        return make_generator(self.seed, *path, device=device)

    def random_condition(
        self, clip_embedding: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return random conditions for a student, [m, width].

        They cover more than the teacher was trained on, since texts lie outside of
        that too and a teacher, unlike data, answers everything: mixtures of two
        images, noise of every level up to that of its training and, if it takes
        noise levels, any of them beside any noise.

        Args:
            clip_embedding: Of images in random order, [m, clip_dim].
            generator: Source of everything random, on the same device.
        """
        num, config = len(clip_embedding), self.config
        least, largest = self.prior.embed_noise_least, self.prior.embed_noise_scale

        def uniform(low: float, high: float) -> Tensor:
            draw = torch.rand(num, 1, generator=generator, device=clip_embedding.device)
            return low + (high - low) * draw

        direction = functional.normalize(clip_embedding, dim=-1)
        mixed = direction.lerp(direction.roll(1, dims=0), uniform(0, config.mix))
        norm = clip_embedding.norm(dim=-1, keepdim=True)
        noise = torch.randn(
            clip_embedding.shape, generator=generator, device=clip_embedding.device
        )
        embedding = perturb_embedding(
            norm * functional.normalize(mixed, dim=-1), uniform(0, largest), noise
        )
        told = uniform(least, largest)
        own = self.prior.join_condition(embedding, noise_level=told)
        return torch.cat([own, uniform(*config.guidance_range)], dim=1)

    @torch.no_grad()
    def predict_x0(self, x_t: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Return the guided prediction u + (c - u) * guidance_scale, as x_t.

        Args:
            x_t: [n, num_latents, latent_dim].
            t: [m], or [1] for all; u then costs less, as it is no condition's own.
            condition: The student's, [m, width].
        """
        num, own = len(condition), condition[:, :-1]
        hidden = torch.zeros(len(t), dtype=torch.bool, device=t.device)
        with_condition = self.prior.predict_x0(x_t, t.expand(num), own)
        without = self.prior.predict_x0(x_t, t, own[: len(t)], hidden)
        scale = condition[:, -1].repeat_interleave(len(x_t) // num)[:, None, None]
        return without + (with_condition - without) * scale

    def sample(
        self, condition: Tensor, generator: torch.Generator, team: Team = ALONE
    ) -> TeacherSamples:
        """Return samples of conditions by dpmpp_2m.

        Args:
            condition: [m, width].
            generator: Source of the noise, on the same device.
            team: Each of its processes samples of its own conditions.
        """
        num = len(condition)
        shape = (num * self.config.num_samples, *self.prior.latent_shape)
        x_T = torch.randn(shape, generator=generator, device=condition.device)
        x_T, condition = team.own(x_T, num), team.own(condition, num)
        alpha_bar = self.prior.alpha_bar

        def denoise(x_t: Tensor, t: int) -> Tensor:
            steps = torch.full((1,), t, device=x_t.device)
            return self.predict_x0(x_t, steps, condition)

        timesteps = respaced_timesteps(
            len(alpha_bar), self.config.teacher_steps, spacing="trailing"
        )
        x0 = sample_dpmpp_2m(denoise, x_T, timesteps, alpha_bar)
        return TeacherSamples(condition, x_T, x0)


class SamplePool:
    """The teacher's samples for each step, functions of the seed and the step.

    A sample costs many evaluations of the teacher and a step few of the student.
    So `pool_batches` batches are kept until each has been used `pool_uses` times, in
    another order each time.
    """

    def __init__(self, teacher: Teacher, batches: PairBatches) -> None:
        """Start with nothing sampled.

        Args:
            teacher: On the device.
            batches: Of pairs, whose embeddings are asked about.
        """
        self._teacher = teacher
        self._batches = batches
        self._pool = -1
        self._kept: list[TeacherSamples] = []

    def samples(self, step: int) -> TeacherSamples:
        """Return the samples of a step (from 1), of a team's process its own."""
        num = self._teacher.config.pool_batches
        pool, place = divmod(step - 1, num * self._teacher.config.pool_uses)
        use, index = divmod(place, num)
        if pool != self._pool:
            self._pool, self._kept = pool, []
        while len(self._kept) < (index + 1 if use == 0 else num):
            self._kept.append(self._sample(pool * num + len(self._kept)))
        if use == 0:
            return self._kept[index]
        generator = make_generator(self._teacher.seed, "pool_order", pool, use)
        return self._kept[int(torch.randperm(num, generator=generator)[index])]

    def _sample(self, batch: int) -> TeacherSamples:
        generator = self._teacher.random("answers", batch)
        _, clip_embedding = self._batches(batch + 1)
        condition = self._teacher.random_condition(clip_embedding, generator)
        return self._teacher.sample(condition, generator, self._batches.team)
