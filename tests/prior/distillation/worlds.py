"""A Gaussian world whose every answer is known, and a toy distillation."""

import torch
from torch import nn

from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.pairs.batches import PairBatches
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.distillation.config import DistillationConfig
from clip2latent_kedro.prior.distillation.teacher import Teacher
from clip2latent_kedro.prior.distillation.training import distill_prior
from clip2latent_kedro.schedules import cosine_alpha_bar
from prior.toy import make_pairs

DIM = 16
STD = 0.6
ALPHA_BAR = cosine_alpha_bar(1000)
STATISTICS = LatentStatistics(torch.zeros(1, DIM), torch.ones(1, DIM))


class GaussianNetwork(nn.Module):
    """E[x0 | x_t] for x0 ~ N(c, STD^2), and for x0 ~ N(0, STD^2) with c hidden.

    Guidance g then leads to the answers for N(g c, STD^2).
    """

    def forward(self, x_t, t, condition, keep):
        mean = condition if keep is None else condition * keep[:, None]
        repeats = len(x_t) // len(mean)
        mean, t = (rows.repeat_interleave(repeats, 0) for rows in (mean, t))
        bar = ALPHA_BAR[t][:, None, None]
        gain = bar.sqrt() * STD**2 / (bar * STD**2 + 1 - bar)
        mean = mean[:, None]
        return (mean + gain * (x_t - bar.sqrt() * mean)).float()


class LinearStudent(nn.Module):
    """x0 = spread * (x_T, its channels moved on by `shift`) + follow * g c."""

    def __init__(self, shift=0):
        super().__init__()
        self.spread = nn.Parameter(torch.tensor(0.2))
        self.follow = nn.Parameter(torch.tensor(0.2))
        self.shift = shift

    def forward(self, x_t, t, condition, keep):
        mean = condition[:, :-1] * condition[:, -1:]
        mean = mean.repeat_interleave(len(x_t) // len(condition), 0)[:, None]
        return self.spread * x_t.roll(self.shift, -1) + self.follow * mean


def make_prior(network, **changes):
    return DiffusionPrior(
        network, ALPHA_BAR, STATISTICS, embed_noise_scale=0.5, **changes
    )


def make_student(network):
    return make_prior(network, condition_inputs=("guidance_scale",))


def ode_end(condition, x_T):
    """Where the teacher's guided probability-flow ODE ends, from T - 1."""
    mean = condition[:, :-1] * condition[:, -1:]
    mean = mean.repeat_interleave(len(x_T) // len(mean), 0)[:, None]
    bar = ALPHA_BAR[-1]
    deviation = (bar * STD**2 + 1 - bar).sqrt()
    return (mean + STD * (x_T - bar.sqrt() * mean) / deviation).float()


def make_config(**changes):
    settings = {
        "objective": "energy",
        "max_it": 8,
        "val_it": 3,
        "save_it": 5,
        "bs": 6,
        "num_samples": 2,
        "lr": 1e-2,
        "lr_decay": "none",
        "weight_decay": 0.01,
        "ema_beta": 0.9,
        "ema_power": 1.0,
        "warm_start": True,
        "guidance_range": [1.0, 3.0],
        "mix": 0.5,
        "teacher_steps": 3,
        "pool_batches": 2,
        "pool_uses": 2,
    }
    return DistillationConfig(**{**settings, **changes})


def make_teacher(**changes):
    """The teacher of the Gaussian world."""
    settings = {"bs": 32, "num_samples": 8, "teacher_steps": 25, "pool_uses": 50}
    config = make_config(**{**settings, **changes})
    return Teacher(make_prior(GaussianNetwork()), config, seed=1)


def make_batches(bs=32, seed=0):
    """Pairs of the Gaussian world, whose w and embedding have the same channels."""
    generator = torch.Generator().manual_seed(5)
    embedding = torch.randn(200, DIM, generator=generator) / DIM**0.5
    w = embedding + STD * torch.randn(200, DIM, generator=generator)
    pairs = TrainingPairs(w[:, None].numpy(), embedding.numpy(), {})
    return PairBatches(
        pairs,
        STATISTICS,
        num_pairs=200,
        batch_size=bs,
        buffer_pairs=1000,
        seed=seed,
        device="cpu",
    )


def distill(
    teacher,
    pairs=None,
    *,
    start=None,
    seed=7,
    device="cpu",
    group=None,
    **changes,
):
    """Distil a toy prior; `changes` are those of its DistillationConfig."""
    return distill_prior(
        teacher,
        make_pairs() if pairs is None else pairs,
        distillation=make_config(**changes),
        seed=seed,
        device=device,
        start=start,
        group=group,
    )
