"""What the StyleGAN2 networks are built of: layers and resampling.

Sources: Karras et al. 2020 (arXiv 1912.04958) and NVIDIA's PyTorch release, whose
parameter names are kept.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.generators.stylegan2_config import StyleGAN2Config
from clip2latent_kedro.interfaces import NoiseMode

_FIR_TAPS = (1.0, 3.0, 3.0, 1.0)
# From this many taps on, NVIDIA's release stores a filter as its one factor.
_SEPARABLE_TAPS = 8


class FullyConnected(nn.Module):
    """A linear layer whose stored weights have unit variance (equalised rates)."""

    def __init__(
        self, dim_in: int, dim_out: int, *, lr: float = 1.0, bias_init: float = 0.0
    ) -> None:
        """Build with random weights, stored divided by the multiplier `lr`."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim_out, dim_in).div_(lr))
        self.bias = nn.Parameter(torch.full((dim_out,), bias_init))
        self.weight_gain = lr / sqrt(dim_in)
        self.bias_gain = lr

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, dim_out] of [n, dim_in]."""
        return F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


class SkipConvolution(nn.Module):
    """1 x 1 convolution to twice the resolution: the other way through a block."""

    resample_filter: Tensor

    def __init__(
        self, channels_in: int, channels_out: int, taps: Sequence[float]
    ) -> None:
        """Build with random weights."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, 1, 1))
        self.weight_gain = 1 / sqrt(channels_in)
        self.register_buffer("resample_filter", fir_filter(taps))

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, channels_out, 2h, 2w] of [n, channels_in, h, w]."""
        return upsample(
            F.conv2d(x, self.weight * self.weight_gain), self.resample_filter
        )


class SynthesisLayer(nn.Module):
    """Modulated 3 x 3 convolution, optionally up-sampling, noise, leaky ReLU."""

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        config: StyleGAN2Config,
        resolution: int,
        *,
        up: bool = False,
        gain: float = 1.0,
    ) -> None:
        """Build with random weights; noise starts with strength 0."""
        super().__init__()
        self.up = up
        self.gain = sqrt(2) * gain
        self.clamp = None if config.conv_clamp is None else config.conv_clamp * gain
        self.use_noise = config.use_noise
        self.num_styles = channels_in
        self.affine = FullyConnected(config.w_dim, channels_in, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        if config.use_noise:
            self.noise_strength = nn.Parameter(torch.zeros([]))
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", fir_filter(config.resample_filter))

    def forward(
        self,
        x: Tensor,
        style: Tensor,
        noise_mode: NoiseMode,
        rows: slice = slice(None),
    ) -> Tensor:
        """Return features [n, channels_out, h, w].

        Args:
            x: [n, channels_in, h, w], half as high and wide if this up-samples.
            style: What `affine` makes of w, [n, channels_in].
            noise_mode: Which noise is added (see `SynthesisNetwork`).
            rows: Of the noise map, if x is a strip.
        """
        with torch.autocast(x.device.type, enabled=False):
            style, scale = modulate(self.weight, style)
        scale = scale * self.gain
        kernel: Tensor = self.weight
        is_folded = len(x) == 1 and x.numel() > kernel.numel()
        if is_folded:
            kernel = kernel * (scale.T * style)[:, :, None, None]
        else:
            x = x * style.to(x.dtype)[:, :, None, None]
        if self.up:
            x = upsampling_convolution(x, kernel, self.resample_filter)
        else:
            x = F.conv2d(x, kernel, padding=1)
        if not is_folded:
            x = x * scale.to(x.dtype)[:, :, None, None]
        # In place, which suits autograd: the slope is positive.
        if self.use_noise and noise_mode == "const":
            x = x.add_(self.noise_const[rows] * (self.noise_strength * self.gain))
        elif self.use_noise and noise_mode == "random":
            x = x.add_(torch.randn_like(x[:, :1]) * (self.noise_strength * self.gain))
        x = F.leaky_relu_(x.add_((self.bias * self.gain)[:, None, None]), 0.2)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class ToRGB(nn.Module):
    """Modulated 1 x 1 convolution to colours, without demodulation."""

    def __init__(self, channels_in: int, config: StyleGAN2Config) -> None:
        """Build with random weights."""
        super().__init__()
        self.clamp = config.conv_clamp
        self.num_styles = channels_in
        self.affine = FullyConnected(config.w_dim, channels_in, bias_init=1.0)
        colours = config.img_channels
        self.weight = nn.Parameter(torch.randn(colours, channels_in, 1, 1))
        self.bias = nn.Parameter(torch.zeros(colours))
        self.weight_gain = 1 / sqrt(channels_in)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return colours, [n, img_channels, h, w].

        Args:
            x: Features, [n, channels_in, h, w].
            style: What `affine` makes of w, [n, channels_in]; the gain of the weights
                is not in it, as it is not in StyleCLIP's S.
        """
        scale = style * self.weight_gain
        if len(x) == 1:
            colours = F.conv2d(x, self.weight * scale[..., None, None], self.bias)
        else:
            x = x * scale.to(x.dtype)[:, :, None, None]
            colours = F.conv2d(x, self.weight, self.bias)
        if self.clamp is not None:
            colours = colours.clamp(-self.clamp, self.clamp)
        return colours.to(style.dtype)


def leaky_relu(x: Tensor) -> Tensor:
    """Return leaky ReLU (slope 0.2) with gain sqrt(2), which keeps the variance."""
    return F.leaky_relu(x, 0.2) * sqrt(2)


def second_moment_norm(x: Tensor) -> Tensor:
    """Return x / sqrt(mean(x^2) + 1e-8) of each row of [n, dim]."""
    return x * x.square().mean(1, keepdim=True).add(1e-8).rsqrt()


def modulate(weight: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scales of input and of output channels of modulated kernels.

    Together they are style and demodulation, which brings each output channel of each
    sample's kernel to unit norm (Karras et al. 2020, Eqs. 1 and 3). Between them the
    maps keep the magnitude of the input, which half precision can hold.

    Args:
        weight: [channels_out, channels_in, k, k], shared.
        style: [n, channels_in].

    Returns:
        [n, channels_in] and [n, channels_out].
    """
    energy = style.square() @ weight.square().sum((2, 3)).T
    gain = style.square().mean(1, keepdim=True).add(1e-8).sqrt()
    gain = gain * sqrt(weight[0].numel())
    return style / gain, (energy + 1e-8).rsqrt() * gain


def fir_filter(taps: Sequence[float] = _FIR_TAPS) -> Tensor:
    """Return the low-pass filter of up-sampling, with sum 1.

    Args:
        taps: Its n coefficients along one axis, up to a factor.

    Returns:
        [n, n], or the factor [n] of a filter of eight or more taps.
    """
    factor = np.array(tuple(taps), np.float32)
    if len(factor) >= _SEPARABLE_TAPS:
        return torch.tensor(factor / factor.sum())
    return torch.tensor(np.outer(factor, factor) / np.square(factor.sum()))


def upsample(x: Tensor, filter_: Tensor) -> Tensor:
    """Return [n, c, 2h, 2w]: zeros inserted, then filtered with gain 4."""
    kernel = _upsampling_kernel(filter_)
    num = len(kernel)
    wide = F.conv_transpose2d(
        x,
        kernel.expand(x.shape[1], 1, num, num),
        stride=2,
        padding=num - 1 - (num + 1) // 2,
        groups=x.shape[1],
    )
    return wide[..., : 2 * x.shape[2], : 2 * x.shape[3]]  # odd filters: a row more


def upsampling_convolution(x: Tensor, weight: Tensor, filter_: Tensor) -> Tensor:
    """Return the transposed convolution of stride 2, then filtered with gain 4.

    Args:
        x: [n, channels_in, h, w].
        weight: [channels_out, channels_in, 3, 3].
        filter_: What `fir_filter` returned.

    Returns:
        [n, channels_out, 2h, 2w].
    """
    wide = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)  # [.., 2h+1, 2w+1]
    kernel = _upsampling_kernel(filter_).flip(0, 1)  # conv2d is a correlation
    num = len(kernel)
    wide = F.conv2d(
        wide,
        kernel.expand(wide.shape[1], 1, num, num),
        padding=(num - 1) // 2,
        groups=wide.shape[1],
    )
    return wide[..., : 2 * x.shape[2], : 2 * x.shape[3]]


def _upsampling_kernel(filter_: Tensor) -> Tensor:
    """Return the filter as a matrix, [n, n], with the gain 4 of inserted zeros."""
    return 4 * (torch.outer(filter_, filter_) if filter_.ndim == 1 else filter_)
