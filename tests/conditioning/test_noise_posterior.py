import math

import pytest
import torch
from torch.nn import functional

from clip2latent_kedro.conditioning.noise_posterior import (
    log_density,
    noise_for_sharpness,
    posterior_sharpness,
)
from clip2latent_kedro.prior.diffusion import perturb_embedding


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("dim", [3, 8])
def test_the_density_is_that_of_embeddings_turned_at_random(scale, dim):
    """The cosines of a million turned embeddings are spread as the density says."""
    num, generator = 1_000_000, torch.Generator().manual_seed(0)
    one = functional.one_hot(torch.zeros(num, dtype=torch.long), dim).float()
    turned = perturb_embedding(one, scale, torch.randn(num, dim, generator=generator))
    edges = torch.linspace(-1, 1, 21)
    counted = torch.histogram(turned[:, 0].contiguous(), edges).hist / num

    # midpoints in the angle, whose cosines all directions share as sin^(d - 2)
    angle = (torch.arange(400_000, dtype=torch.float64) + 0.5) * math.pi / 400_000
    weight = log_density(angle.cos(), scale, dim=dim).exp()
    weight *= angle.sin() ** (dim - 2)
    expected = torch.histogram(
        angle.cos().flip(0), edges.double(), weight=weight.flip(0)
    ).hist
    expected /= expected.sum()
    torch.testing.assert_close(counted.double(), expected, atol=3e-3, rtol=0)


@pytest.mark.parametrize("scale", [1.0, 2.0, 4.0])
def test_sharpness_is_the_slope_of_the_density_in_many_dimensions(scale):
    cosine = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(log_density(cosine, scale, dim=512), cosine)
    q = math.sqrt(scale**2 - 1 + 0.6**2)
    found = posterior_sharpness(scale, dim=512, cosine=0.6)
    assert found - 0.6 / q**2 == pytest.approx(float(slope), rel=1e-9)
    assert found == pytest.approx(float(slope), rel=0.01)


def test_a_level_is_found_for_a_sharpness():
    for beta in (10.0, 31.0, 400.0):
        level = noise_for_sharpness(beta, dim=128, cosine=0.6)
        found = posterior_sharpness(level, dim=128, cosine=0.6)
        assert found == pytest.approx(beta, rel=1e-12)
    assert noise_for_sharpness(31.0, dim=128, cosine=0.6) == pytest.approx(4.174, 1e-3)


def test_little_noise_leaves_no_answer_far_off():
    cosine = torch.tensor([-0.9, 0.7, 0.9])
    found = log_density(cosine, 0.6, dim=8)  # at most 0.6 off: a cosine of 0.8
    assert found.isneginf().tolist() == [True, True, False]
    assert math.isinf(posterior_sharpness(0.6, dim=8, cosine=0.7))
