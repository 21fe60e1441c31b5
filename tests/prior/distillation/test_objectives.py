"""Against closed forms: Gaussian data, whose probability-flow ODE is linear."""

import math

import pytest
import torch
from torch import nn

from clip2latent_kedro.prior.distillation.energy import energy_distance, energy_score
from clip2latent_kedro.prior.distillation.objectives import (
    HUBER,
    OBJECTIVES,
    pseudo_huber,
)
from clip2latent_kedro.samplers.ddim import sample_ddim
from clip2latent_kedro.schedules import respaced_timesteps

from .worlds import (
    ALPHA_BAR,
    DIM,
    STD,
    LinearStudent,
    make_batches,
    make_student,
    make_teacher,
)


def fit(objective, network, *, steps=150, **changes):
    """Train a student's network for some steps, at a falling learning rate."""
    teacher = make_teacher(objective=objective, **changes)
    distillation = OBJECTIVES[objective](teacher, make_batches())
    student = make_student(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - (step - 1) / steps)
        optimizer.zero_grad()
        distillation.loss(student, student, step).backward()
        optimizer.step()
    return network


@pytest.mark.parametrize("objective", ["endpoint", "energy"])
def test_a_linear_student_finds_the_distribution_of_the_teacher(objective):
    network = fit(objective, LinearStudent())
    assert network.spread.item() == pytest.approx(STD, abs=0.02)
    assert network.follow.item() == pytest.approx(1, abs=0.03)


def test_energy_keeps_the_spread_where_the_map_cannot_be_learned():
    """A student that permutes channels has the right samples from the wrong noise."""
    assert abs(fit("endpoint", LinearStudent(shift=1)).spread.item()) < 0.03
    by_energy = fit("energy", LinearStudent(shift=1))
    assert by_energy.spread.item() == pytest.approx(STD, abs=0.02)


def expected_distance(shift, variance):
    """E|Z|, Z ~ N(shift, variance): the mean of a folded normal distribution."""
    return math.sqrt(2 * variance / math.pi) * math.exp(
        -(shift**2) / (2 * variance)
    ) + shift * math.erf(shift / math.sqrt(2 * variance))


def test_energy_score_and_distance_of_gaussians():
    generator = torch.Generator().manual_seed(0)
    x = 0.5 * torch.randn(40, 500, 1, generator=generator, dtype=torch.float64)
    y = 1 + 2 * torch.randn(40, 300, 1, generator=generator, dtype=torch.float64)
    across = expected_distance(1, 0.5**2 + 2**2)
    own_x, own_y = (expected_distance(0, 2 * std**2) for std in (0.5, 2))
    score = float(energy_score(x, y))
    assert score == pytest.approx(across - own_x / 2, abs=0.02)
    distance = float(energy_distance(x, y))
    assert distance == pytest.approx(2 * across - own_x - own_y, abs=0.04)


def test_energy_distance_is_without_bias_for_two_samples():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 20_000, 2, 3, generator=generator, dtype=torch.float64)
    assert float(energy_distance(x, y)) == pytest.approx(0, abs=0.01)


class ExactFunction(nn.Module):
    """Where DDIM on the teacher's grid takes x_t from t: the consistency function."""

    def __init__(self, teacher, num_steps):
        super().__init__()
        self.teacher = teacher
        self.grid = respaced_timesteps(len(ALPHA_BAR), num_steps, spacing="trailing")

    def forward(self, x_t, t, condition, keep):
        x0 = torch.full_like(x_t, torch.nan)
        repeats = len(x_t) // len(t)
        for index, first in enumerate(self.grid):
            chosen = t == first
            rows = chosen.repeat_interleave(repeats)

            def denoise(x, step, own=condition[chosen]):
                steps = torch.full((len(own),), step)
                return self.teacher.predict_x0(x, steps, own)

            if chosen.any():
                x0[rows] = sample_ddim(
                    denoise, x_t[rows], self.grid[index:], ALPHA_BAR, generator=None
                )
        return x0


class TabularStudent(nn.Module):
    """x0 = spread x_t + follow g c, with numbers of its own for each timestep."""

    def __init__(self, grid):
        super().__init__()
        self.numbers = nn.Parameter(torch.full((len(ALPHA_BAR), 2), 0.3))
        self.grid = grid

    def forward(self, x_t, t, condition, keep):
        repeats = len(x_t) // len(t)
        mean = condition[:, :-1] * condition[:, -1:]
        mean = mean.repeat_interleave(repeats, 0)[:, None]
        numbers = self.numbers[t].repeat_interleave(repeats, 0)[:, None]
        return numbers[..., :1] * x_t + numbers[..., 1:] * mean


def test_consistency_loss_is_zero_for_the_exact_function_alone():
    teacher = make_teacher(teacher_steps=6)
    exact = make_student(ExactFunction(teacher, 6))
    loss_of = OBJECTIVES["consistency"](teacher, make_batches()).loss
    assert loss_of(exact, exact, 1).item() < 1e-5
    other = make_student(LinearStudent())
    assert loss_of(other, exact, 2).item() > 0.05
    assert loss_of(exact, other, 3).item() > 0.05


def test_consistency_spreads_from_the_clean_end_to_pure_noise():
    teacher = make_teacher(teacher_steps=4)
    exact = ExactFunction(teacher, 4)
    network = fit("consistency", TabularStudent(exact.grid), steps=200, teacher_steps=4)
    condition = torch.cat([torch.randn(3, DIM), torch.tensor([[1.0], [2], [3]])], 1)
    x_T, t = torch.randn(6, 1, DIM), torch.full((3,), len(ALPHA_BAR) - 1)
    with torch.no_grad():
        error = network(x_T, t, condition, None) - exact(x_T, t, condition, None)
    assert float(error.square().mean().sqrt()) < 0.03


def test_pseudo_huber_is_the_distance_far_off_and_a_square_nearby():
    x, y = torch.zeros(1, 1, DIM), torch.full((1, 1, DIM), 3.0)
    assert float(pseudo_huber(x, y)) == pytest.approx(3, rel=1e-3)
    near = torch.full((1, 1, DIM), 1e-5, dtype=torch.float64)
    expected = 1e-5**2 / (2 * HUBER)
    assert float(pseudo_huber(x.double(), near)) == pytest.approx(expected, rel=1e-3)
