"""Leaky ReLU on a continuous signal, between Kaiser filters (Karras et al. 2021).

A pointwise nonlinearity makes frequencies that the sampling grid cannot hold, so it is
applied at a higher rate, between a low-pass filter that interpolates and one that
removes what the lower rate cannot hold. The first is a transposed convolution of
stride `up` and the second a convolution of stride `down`, both depthwise, in one pass
per axis, and no tensor of inserted zeros is ever made.

The signal at the higher rate is the largest in the network. It is made in blocks of
rows that fit the processor's cache, which is several times as fast on a CPU.
"""

import sys
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor
from torch.nn import functional as F

_SLOPE = 0.2
_GAIN = 2**0.5
# Numbers in a block. On a CPU: what fits the cache, and what an allocator hands out
# again instead of asking the system for fresh pages.
_CPU_BLOCK = 2**22
_GPU_BLOCK = 2**28
_LEAST_ROWS = 8  # of a block's output, whatever its size


@dataclass(frozen=True)
class Resampling:
    """How the sampling grids of a layer's input, nonlinearity and output lie.

    Attributes:
        up: Factor from the input's rate to the nonlinearity's.
        down: Factor from there to the output's.
        up_taps: Length of the first filter.
        down_taps: Length of the second.
        size_in: Height and width of the input.
        size_out: Height and width of the output.
    """

    up: int
    down: int
    up_taps: int
    down_taps: int
    size_in: int
    size_out: int

    @property
    def size_between(self) -> int:
        """Return the samples per axis that the second filter needs."""
        return (self.size_out - 1) * self.down + self.down_taps

    @property
    def start(self) -> int:
        """Return which sample of the whole interpolated signal comes first.

        Grids lie symmetrically: samples stand at the centres of pixels, whatever the
        rate (Karras et al. 2021, Appendix C.3).
        """
        # Zeros missing around the zero-inserted input, which ends in `up - 1` zeros.
        missing = self.size_between + self.up_taps - 1 - self.size_in * self.up
        before = (missing + self.up) // 2
        return self.up_taps - 1 - before

    def sources(self, first: int, last: int) -> tuple[int, int]:
        """Return which samples of the input make [first, last) of its interpolation.

        Sample i of the input lies in samples [i * up, i * up + up_taps).
        """
        return -((self.up_taps - 1 - first) // self.up), (last - 1) // self.up + 1


def lowpass_filter(
    num_taps: int, *, cutoff: float, width: float, rate: float, radial: bool = False
) -> Tensor:
    """Return a low-pass filter with a Kaiser window, of sum 1.

    The window's shape follows Kaiser's formulas for the attenuation that `num_taps`
    reach in a transition band of the given width.

    Args:
        num_taps: Length, even if `radial`.
        cutoff: Middle of the transition band.
        width: Of the transition band, in the units of `cutoff`.
        rate: Sampling rate, in samples per unit of length.
        radial: Return the jinc of a round pass band instead of the sinc.

    Returns:
        [num_taps], or [num_taps, num_taps] if `radial`.
    """
    attenuation = 2.285 * (num_taps - 1) * pi * (width / (rate / 2)) + 7.95  # dB
    window = torch.kaiser_window(
        num_taps, periodic=False, beta=_kaiser_beta(attenuation), dtype=torch.float64
    )
    x = (torch.arange(num_taps, dtype=torch.float64) - (num_taps - 1) / 2) / rate
    taps: Tensor
    if radial:
        r = torch.hypot(x[:, None], x)
        taps = torch.special.bessel_j1(2 * pi * cutoff * r) / (pi * r)
        taps = taps * torch.outer(window, window)
    else:
        taps = torch.sinc(2 * cutoff * x) * window
    return (taps / taps.sum()).float()


def filtered_leaky_relu(
    x: Tensor,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    *,
    grid: Resampling,
    clamp: float | None,
) -> Tensor:
    """Return sqrt(2) leaky ReLU of the signal of x, clamped, at the output's rate.

    Args:
        x: [n, c, size_in, size_in].
        up_filter: [up_taps], of sum 1; None if `up` is 1.
        down_filter: [down_taps], or [down_taps, down_taps]; None if `down` is 1.
        grid: Rates and sizes.
        clamp: Bound on the values between the filters; None for none.

    Returns:
        [n, c, size_out, size_out].
    """
    block = _block_size(x)
    per_sample = x.shape[1] * grid.size_between**2
    if len(x) > 1 and len(x) * per_sample > block:
        samples = torch.split(x, max(1, block // per_sample))
        outputs = [
            filtered_leaky_relu(part, up_filter, down_filter, grid=grid, clamp=clamp)
            for part in samples
        ]
        return torch.cat(outputs)

    x, offset = _pad_to_need(x, grid)
    # Zero insertion by `up` takes a gain of `up` per axis. A leaky ReLU passes
    # positive factors on, so that its own gain may come before it.
    up_kernel = (grid.up * _GAIN**0.5) * _per_channel(up_filter, x)
    down_kernel = _per_channel(down_filter, x).flip(2, 3)  # conv2d is a correlation
    per_row = len(x) * x.shape[1] * grid.size_between * grid.down
    height = max(block // per_row, _LEAST_ROWS)

    rows = []
    for top in range(0, grid.size_out, height):
        bottom = min(top + height, grid.size_out)
        first = offset + top * grid.down
        last = offset + (bottom - 1) * grid.down + grid.down_taps
        low, high = grid.sources(first, last)
        y = x[:, :, low:high]
        y = _interpolate(y, up_kernel, grid, 3, offset, offset + grid.size_between)
        start = low * grid.up
        y = _interpolate(y, up_kernel, grid, 2, first - start, last - start)
        if clamp is not None:
            y.clamp_(-clamp / _SLOPE, clamp)
        F.leaky_relu_(y, _SLOPE)
        y = _decimate(y, down_kernel, grid.down)
        rows.append(y[:, :, : bottom - top, : grid.size_out])
    return rows[0] if len(rows) == 1 else torch.cat(rows, dim=2)


def _block_size(x: Tensor) -> int:
    if torch.compiler.is_compiling():
        return sys.maxsize
    return _GPU_BLOCK if x.is_cuda else _CPU_BLOCK


def _pad_to_need(x: Tensor, grid: Resampling) -> tuple[Tensor, int]:
    """Return the samples of x that matter, zeros around it, and where to start.

    Returns:
        [n, c, s, s], and the index of the first needed sample in its interpolation.
    """
    low, high = grid.sources(grid.start, grid.start + grid.size_between)
    before, after = -low, high - grid.size_in
    if before or after:
        x = F.pad(x, (before, after, before, after))
    return x, grid.start - low * grid.up


def _per_channel(filter_: Tensor | None, x: Tensor) -> Tensor:
    """Return a depthwise kernel, [c, 1, t, t], or [c, 1, t, 1] if separable."""
    taps = x.new_ones(1) if filter_ is None else filter_.to(x.dtype)
    taps = taps[:, None] if taps.ndim == 1 else taps
    return taps.expand(x.shape[1], 1, -1, -1)


def _interpolate(
    x: Tensor, kernel: Tensor, grid: Resampling, axis: int, first: int, last: int
) -> Tensor:
    """Return samples [first, last) of x interpolated along an axis.

    Up to `up - 1` samples more may follow: they cost less than to cut them off.

    Args:
        x: Those samples along the axis that `grid.sources` names, no others.
        kernel: Of `_per_channel`, separable.
        grid: Rates.
        axis: 2 or 3.
        first: At least 0.
        last: Above `first`.
    """
    surplus = (x.shape[axis] - 1) * grid.up + grid.up_taps - last
    missing = max(0, first - surplus)
    vertical = axis == 2
    return F.conv_transpose2d(
        x,
        kernel if vertical else kernel.transpose(2, 3),
        stride=(grid.up, 1) if vertical else (1, grid.up),
        padding=(first, 0) if vertical else (0, first),  # cuts as much at both ends
        output_padding=(missing, 0) if vertical else (0, missing),
        groups=x.shape[1],
    )


def _decimate(y: Tensor, kernel: Tensor, down: int) -> Tensor:
    """Return every `down`-th sample of y, filtered, along both axes."""
    channels = y.shape[1]
    if kernel.shape[2] == kernel.shape[3]:
        return F.conv2d(y, kernel, stride=down, groups=channels)
    y = F.conv2d(y, kernel, stride=(down, 1), groups=channels)
    return F.conv2d(y, kernel.transpose(2, 3), stride=(1, down), groups=channels)


def _kaiser_beta(attenuation: float) -> float:
    """Return the window's shape for an attenuation in dB (Kaiser 1974)."""
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        excess = attenuation - 21
        return 0.5842 * float(excess**0.4) + 0.07886 * excess
    return 0.0
