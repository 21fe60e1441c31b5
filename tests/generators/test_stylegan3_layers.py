from math import pi

import pytest
import torch
from torch.nn import functional as F

from clip2latent_kedro.generators.stylegan3_config import StyleGAN3Config
from clip2latent_kedro.generators.stylegan3_layers import (
    FourierInput,
    modulated_convolution,
)


@pytest.fixture
def features() -> FourierInput:
    torch.manual_seed(0)
    config = StyleGAN3Config(8, 0, 8, 64, channel_base=256, channel_max=6)
    return FourierInput(8, config.signals[0]).double()


def _pose(features, *pose):
    with torch.no_grad():
        features.affine.bias.copy_(torch.tensor(pose))
        return features(torch.zeros(1, 8, dtype=torch.float64))


def test_features_are_waves_over_the_plane(features):
    """One channel and pixel, written out."""
    made = _pose(features, 1.0, 0.0, 0.0, 0.0)[0]  # [6, 36, 36]
    row, column = 7, 30
    x, y = (column + 0.5 - 18) / 16, (row + 0.5 - 18) / 16
    angle = features.freqs @ torch.tensor([x, y], dtype=torch.float64)
    waves = torch.sin(2 * pi * (angle + features.phases))
    expected = features.weight @ waves / 6**0.5
    torch.testing.assert_close(made[:, row, column], expected)


def test_frequencies_fill_the_band_evenly():
    torch.manual_seed(0)
    config = StyleGAN3Config(8, 0, 8, 64, channel_base=10**6, channel_max=2000)
    radii = FourierInput(8, config.signals[0]).freqs.norm(dim=1)
    assert radii.max() <= 2
    inner = (radii < 1).float().mean()  # a quarter of the disc's area
    torch.testing.assert_close(inner, torch.tensor(0.25), rtol=0, atol=0.03)


def test_a_shift_by_whole_samples_moves_the_features(features):
    still = _pose(features, 1.0, 0.0, 0.0, 0.0)
    moved = _pose(features, 1.0, 0.0, 3 / 16, -2 / 16)
    torch.testing.assert_close(moved[:, :, :-2, 3:], still[:, :, 2:, :-3])


def test_a_pose_is_normalised_and_turns_the_features(features):
    still = _pose(features, 1.0, 0.0, 0.0, 0.0)
    turned = _pose(features, 0.0, 5.0, 0.0, 0.0)
    torch.testing.assert_close(turned, still.rot90(1, (2, 3)))


def test_features_turn_before_they_shift(features):
    turned = _pose(features, 0.0, 1.0, 0.0, 0.0)
    both = _pose(features, 0.0, 1.0, 3 / 16, 0.0)
    torch.testing.assert_close(both[:, :, :, 3:], turned[:, :, :, :-3])


def test_frequencies_beyond_the_band_fade(features):
    """Amplitude 1 at the cutoff (2), 0 at half of the rate (8), linear between."""
    torch.nn.init.eye_(features.weight)
    features.freqs.copy_(torch.tensor([[1.0, 0.0]] * 6))
    features.phases.fill_(0.0)
    for zoom, amplitude in ((1.0, 1.0), (2.0, 1.0), (5.0, 0.5), (9.0, 0.0)):
        features.transform.copy_(torch.diag(torch.tensor([zoom, zoom, 1.0])))
        made = _pose(features, 1.0, 0.0, 0.0, 0.0)
        x = (torch.arange(36, dtype=torch.float64) + 0.5 - 18) / 16
        expected = amplitude * torch.sin(2 * pi * zoom * x) / 6**0.5
        torch.testing.assert_close(made[0, 0, 0], expected)


def _per_sample(x, weight, style, bias, *, demodulate, input_gain):
    """The definition: one kernel per sample, normalised as a whole."""
    kernels = weight * style[:, None, :, None, None]  # [n, out, in, k, k]
    if demodulate:
        kernels = kernels / kernels.square().sum((2, 3, 4), keepdim=True).sqrt()
    outputs = [
        F.conv2d(sample[None] * input_gain, kernel, bias, padding=weight.shape[2] - 1)
        for sample, kernel in zip(x, kernels, strict=True)
    ]
    return torch.cat(outputs)


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("demodulate", [False, True])
def test_modulation_is_one_kernel_for_each_sample(num, kernel, demodulate):
    random = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    case = (draw(num, 5, 9, 9), draw(4, 5, kernel, kernel), draw(num, 5), draw(4))
    settings = {
        "demodulate": demodulate,
        "input_gain": torch.tensor(0.3, dtype=torch.float64),
    }
    made = modulated_convolution(*case, **settings)
    expected = _per_sample(*case, **settings)
    torch.testing.assert_close(made, expected, rtol=1e-6, atol=1e-6)  # eps is 1e-8
