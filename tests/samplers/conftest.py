from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from clip2latent_kedro.schedules import cosine_alpha_bar


@dataclass(frozen=True)
class GaussianData:
    """Data x0 ~ N(mean, std^2), for which denoising and its ODE are known exactly."""

    mean: Tensor
    std: Tensor
    alpha_bar: Tensor

    def denoise(self, x_t: Tensor, t: int) -> Tensor:
        """Return E[x0 | x_t]."""
        bar = self.alpha_bar[t]
        gain = bar.sqrt() * self.std**2 / (bar * self.std**2 + 1 - bar)
        return self.mean + gain * (x_t - bar.sqrt() * self.mean)

    def ode_solution(self, x_t: Tensor, t: int) -> Tensor:
        """Return where the probability-flow ODE takes x_t: same quantile at t = 0."""
        bar = self.alpha_bar[t]
        std_t = (bar * self.std**2 + 1 - bar).sqrt()
        return self.mean + self.std * (x_t - bar.sqrt() * self.mean) / std_t


def make_gaussian(num_timesteps: int) -> GaussianData:
    return GaussianData(
        mean=torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64),
        std=torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64),
        alpha_bar=cosine_alpha_bar(num_timesteps),
    )


@pytest.fixture
def gaussian():
    return make_gaussian(1000)


@pytest.fixture
def fine_gaussian():
    """A schedule fine enough that rounding of timesteps does not hide the order."""
    return make_gaussian(2**14)


@pytest.fixture
def start():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(16, 3, generator=generator, dtype=torch.float64)
