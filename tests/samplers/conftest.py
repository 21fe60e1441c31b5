from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from world import seeded

from clip2latent_kedro.schedules import cosine_alpha_bar

CONFORMANCE = Path(__file__).parents[3] / "shared" / "conformance"


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


@dataclass(frozen=True)
class MixtureData:
    """Data of independent channels, each of three Gaussians, as well known."""

    alpha_bar: Tensor
    share = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    mean = torch.tensor([-1.2, 0.4, 1.8], dtype=torch.float64)
    std = torch.tensor([0.3, 0.1, 0.5], dtype=torch.float64)

    def denoise(self, x_t: Tensor, t: int) -> Tensor:
        """Return E[x0 | x_t], the components' own answers by their probability."""
        bar = self.alpha_bar[t]
        variance = bar * self.std**2 + 1 - bar
        off = x_t[..., None] - bar.sqrt() * self.mean  # [n, d, 3]
        log_density = self.share.log() - variance.log() / 2 - off**2 / (2 * variance)
        answers = self.mean + bar.sqrt() * self.std**2 / variance * off
        return (log_density.softmax(dim=-1) * answers).sum(dim=-1)

    def cdf(self, x: Tensor, bar: Tensor | float) -> Tensor:
        """Return the share of the data, noised to the level bar, below x."""
        bar = torch.as_tensor(bar, dtype=torch.float64)
        std_t = (bar * self.std**2 + 1 - bar).sqrt()
        standard = (x[..., None] - bar.sqrt() * self.mean) / std_t
        return (self.share * torch.special.ndtr(standard)).sum(dim=-1)


def make_gaussian(alpha_bar: Tensor) -> GaussianData:
    return GaussianData(
        mean=torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64),
        std=torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64),
        alpha_bar=alpha_bar,
    )


@pytest.fixture(scope="session")
def golden():
    """Outputs of the original, as tensors by name."""
    path = CONFORMANCE / "prior_small64.golden.npz"
    if not path.exists():
        pytest.skip("no conformance files")
    with np.load(path) as arrays:
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.fixture
def gaussian():
    return make_gaussian(cosine_alpha_bar(1000))


@pytest.fixture
def mixture():
    return MixtureData(cosine_alpha_bar(1000))


@pytest.fixture
def even_gaussian():
    """A schedule of even steps in lambda, so clean that its end does not matter."""
    lam = torch.linspace(9, -7, 2**10 + 1, dtype=torch.float64)
    return make_gaussian(torch.sigmoid(2 * lam))


@pytest.fixture
def start():
    return torch.randn(16, 3, generator=seeded(), dtype=torch.float64)
