import pytest
import torch
from generators.reference import filtered_lrelu

from clip2latent_kedro.generators import stylegan3_filters
from clip2latent_kedro.generators.stylegan3_filters import (
    Resampling,
    filtered_leaky_relu,
    lowpass_filter,
)

GRIDS = {
    "same rate": Resampling(2, 2, 12, 12, size_in=18, size_out=16),
    "same rate, no margin lost": Resampling(2, 2, 12, 12, size_in=16, size_out=16),
    "rate doubled": Resampling(4, 2, 24, 12, size_in=16, size_out=20),
    "rate quadrupled": Resampling(8, 2, 48, 12, size_in=14, size_out=24),
    "cropped": Resampling(2, 2, 12, 12, size_in=32, size_out=12),
    "rate halved": Resampling(2, 4, 12, 24, size_in=20, size_out=20),
    "no interpolation": Resampling(1, 1, 1, 1, size_in=12, size_out=10),
    "no second filter": Resampling(2, 1, 12, 1, size_in=12, size_out=20),
    "odd": Resampling(3, 3, 15, 9, size_in=13, size_out=11),
}


def _case(grid, *, radial=False):
    """Asymmetric random filters, so that a flipped one shows."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    x = draw(3, 4, grid.size_in, grid.size_in)
    down_shape = (grid.down_taps,) * (2 if radial else 1)
    up_filter = draw(grid.up_taps) if grid.up > 1 else None
    return x, up_filter, draw(*down_shape) if grid.down > 1 else None


@pytest.mark.parametrize("radial", [False, True])
@pytest.mark.parametrize("clamp", [None, 0.7])
@pytest.mark.parametrize("name", GRIDS)
def test_it_is_zero_insertion_filter_nonlinearity_filter(name, clamp, radial):
    grid = GRIDS[name]
    x, up_filter, down_filter = _case(grid, radial=radial)
    made = filtered_leaky_relu(x, up_filter, down_filter, grid=grid, clamp=clamp)
    expected = filtered_lrelu(x, up_filter, down_filter, grid, clamp)
    assert expected.shape[2] == grid.size_out
    torch.testing.assert_close(made, expected)


@pytest.mark.parametrize("block", [1, 3000, 8000])
@pytest.mark.parametrize("name", GRIDS)
def test_blocks_leave_no_seams(name, block, monkeypatch):
    """Rows, samples, and several samples at once, in blocks of every kind."""
    grid = GRIDS[name]
    x, up_filter, down_filter = _case(grid)
    whole = filtered_leaky_relu(x, up_filter, down_filter, grid=grid, clamp=1.0)
    monkeypatch.setattr(stylegan3_filters, "_CPU_BLOCK", block)
    monkeypatch.setattr(stylegan3_filters, "_LEAST_ROWS", 3)
    pieced = filtered_leaky_relu(x, up_filter, down_filter, grid=grid, clamp=1.0)
    torch.testing.assert_close(pieced, whole)


def test_gradients_are_exact():
    """The blocks are changed in place, which must not disturb the backward pass."""
    grid = Resampling(2, 2, 4, 4, size_in=5, size_out=4)
    x, up_filter, down_filter = _case(grid)
    x = x[:1, :2].requires_grad_()

    def run(x):
        return filtered_leaky_relu(x, up_filter, down_filter, grid=grid, clamp=0.5)

    assert torch.autograd.gradcheck(run, x)


# First halves of scipy.signal.firwin(num_taps, cutoff=, width=, fs=), scipy 1.17: the
# three branches of Kaiser's formula, and the first layer of the published generators.
FIRWIN = {
    (8, 8.0, 6.4, 64.0): [0.02938918, 0.0993324599, 0.1655541, 0.20572426],
    (8, 8.0, 16.0, 64.0): [0.0107264909, 0.0708978078, 0.169720752, 0.248654949],
    (8, 8.0, 32.0, 64.0): [0.00111008744, 0.0362496051, 0.159811559, 0.302828749],
    (12, 2.0, 12.0, 32.0): [
        *(0.00079190215, 0.0100183182, 0.0389495225),
        *(0.0924127899, 0.156525615, 0.201301852),
    ],
}


@pytest.mark.parametrize("case", FIRWIN)
def test_separable_filters_are_those_of_scipy(case):
    num_taps, cutoff, width, rate = case
    made = lowpass_filter(num_taps, cutoff=cutoff, width=width, rate=rate)
    half = torch.tensor(FIRWIN[case])
    torch.testing.assert_close(made, torch.cat([half, half.flip(0)]), rtol=0, atol=1e-7)


def test_a_radial_filter_has_the_transform_of_a_disc():
    """Wide enough, it passes everything in the disc of radius f_c and nothing out."""
    cutoff, rate, num_taps = 16.0, 128.0, 128
    taps = lowpass_filter(num_taps, cutoff=cutoff, width=4.0, rate=rate, radial=True)
    response = torch.fft.fft2(taps.double()).abs()
    frequency = torch.fft.fftfreq(num_taps, 1 / rate, dtype=torch.float64)
    radius = torch.hypot(frequency[:, None], frequency)
    passed, stopped = response[radius < cutoff - 3], response[radius > cutoff + 3]
    torch.testing.assert_close(passed, torch.ones_like(passed), rtol=0, atol=0.01)
    torch.testing.assert_close(stopped, torch.zeros_like(stopped), rtol=0, atol=0.01)
    torch.testing.assert_close(taps, taps.T)
