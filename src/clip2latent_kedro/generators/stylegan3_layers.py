"""Layers of the StyleGAN3 synthesis network (Karras et al. 2021, Section 3)."""

from math import pi, sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.generators.stylegan2_layers import FullyConnected
from clip2latent_kedro.generators.stylegan3_config import Signal, StyleGAN3Config
from clip2latent_kedro.generators.stylegan3_filters import (
    Resampling,
    filtered_leaky_relu,
    lowpass_filter,
)


class FourierInput(nn.Module):
    """Fourier features on a plane that w rotates and shifts."""

    transform: Tensor
    freqs: Tensor
    phases: Tensor

    def __init__(self, w_dim: int, signal: Signal) -> None:
        """Draw random frequencies inside the band of the signal."""
        super().__init__()
        self.signal = signal
        # Uniform on the disc: exp(-r^2 / 2) of a normal vector is uniform on [0, 1].
        freqs = torch.randn(signal.channels, 2)
        radii = freqs.norm(dim=1, keepdim=True)
        freqs = freqs / (radii * radii.square().exp().pow(0.25)) * signal.cutoff
        self.weight = nn.Parameter(torch.randn(signal.channels, signal.channels))
        self.num_styles = 4
        self.affine = FullyConnected(w_dim, 4)
        with torch.no_grad():
            self.affine.weight.zero_()
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        self.register_buffer("transform", torch.eye(3))
        self.register_buffer("freqs", freqs)
        self.register_buffer("phases", torch.rand(signal.channels) - 0.5)

    def forward(self, pose: Tensor) -> Tensor:
        """Return features, [n, channels, size, size], of a pose.

        A point of the plane goes through the buffer `transform` (3 x 3, the identity
        unless somebody sets it), then a shift, then a rotation, both told by the pose.

        Args:
            pose: What `affine` makes of w, (cos, sin, x, y), yet to be normalised,
                [n, 4].
        """
        signal = self.signal

        # Where w puts the plane: [cos, -sin; sin, cos] @ [I | -shift] @ transform.
        pose = pose / pose[:, :2].norm(dim=1, keepdim=True)
        cos, sin, x, y = pose.unbind(1)
        rotation = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
        shift = -(rotation @ torch.stack([x, y], 1)[:, :, None])
        plane = torch.cat([rotation, shift], 2) @ self.transform  # [n, 2, 3]

        # The frequencies seen from there; those out of band fade away.
        phases = self.phases + (self.freqs @ plane[:, :, 2:]).squeeze(2)
        freqs = self.freqs @ plane[:, :, :2]  # [n, channels, 2]
        excess = freqs.norm(dim=2) - signal.cutoff
        amplitudes = (1 - excess / (signal.rate / 2 - signal.cutoff)).clamp(0, 1)

        # [n, size, size, channels]; pixels stand at their centres, in image widths.
        axis = torch.arange(signal.size, device=pose.device, dtype=pose.dtype)
        axis = (axis + 0.5 - signal.size / 2) / signal.rate
        column = axis[None, None, :, None] * freqs[:, None, None, :, 0]
        row = axis[None, :, None, None] * freqs[:, None, None, :, 1]
        waves = torch.sin((column + row + phases[:, None, None]) * (2 * pi))
        waves = waves * amplitudes[:, None, None]
        features: Tensor = waves @ (self.weight / sqrt(signal.channels)).T
        features = features.permute(0, 3, 1, 2)  # channels-last: fast on a CPU
        return features.contiguous() if pose.is_cuda else features


class StyleGAN3Layer(nn.Module):
    """Modulated convolution, then a leaky ReLU between filters; or colours."""

    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(
        self,
        source: Signal,
        target: Signal,
        config: StyleGAN3Config,
        *,
        critical: bool = False,
        colours: bool = False,
    ) -> None:
        """Build with random weights.

        Args:
            source: The layer's input.
            target: Its output.
            config: Sizes of the network.
            critical: Critically sampled; filters in lines, even if the others' are
                radial.
            colours: Convolve with 1 x 1, without demodulation and filters.
        """
        super().__init__()
        kernel = 1 if colours else config.conv_kernel
        self.colours = colours
        self.clamp = config.conv_clamp
        self.num_styles = source.channels
        self.affine = FullyConnected(config.w_dim, source.channels, bias_init=1.0)
        self.weight = nn.Parameter(
            torch.randn(target.channels, source.channels, kernel, kernel)
        )
        self.bias = nn.Parameter(torch.zeros(target.channels))
        self.register_buffer("magnitude_ema", torch.ones([]))
        self.register_buffer("up_filter", None)
        self.register_buffer("down_filter", None)
        if colours:
            return
        rate = max(source.rate, target.rate) * config.lrelu_upsampling
        up, down = rate // source.rate, rate // target.rate
        self.grid = Resampling(
            up=up,
            down=down,
            up_taps=config.filter_size * up if up > 1 else 1,
            down_taps=config.filter_size * down if down > 1 else 1,
            size_in=source.size + kernel - 1,
            size_out=target.size,
        )
        if up > 1:
            self.up_filter = lowpass_filter(
                self.grid.up_taps,
                cutoff=source.cutoff,
                width=2 * source.half_width,
                rate=rate,
            )
        if down > 1:
            self.down_filter = lowpass_filter(
                self.grid.down_taps,
                cutoff=target.cutoff,
                width=2 * target.half_width,
                rate=rate,
                radial=config.use_radial_filters and not critical,
            )

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return features, [n, channels_out, size_out, size_out].

        Args:
            x: [n, channels_in, size_in, size_in].
            style: What `affine` makes of w, [n, channels_in]; that of the colours
                without the gain of their weights.
        """
        is_large = x[0].numel() > self.weight.numel()
        if len(x) > 1 and is_large and not torch.compiler.is_compiling():
            # A kernel for each sample is then less to scale than its feature map.
            samples = zip(torch.split(x, 1), torch.split(style, 1), strict=True)
            return torch.cat([self(*sample) for sample in samples])
        if self.colours:
            style = style / sqrt(self.weight.shape[1])
        x = modulated_convolution(
            x,
            self.weight,
            style,
            self.bias,
            demodulate=not self.colours,
            input_gain=self.magnitude_ema.rsqrt(),  # to unit variance
        )
        if self.colours:
            return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)
        return filtered_leaky_relu(
            x, self.up_filter, self.down_filter, grid=self.grid, clamp=self.clamp
        )


def modulated_convolution(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    bias: Tensor,
    *,
    demodulate: bool,
    input_gain: Tensor,
) -> Tensor:
    """Return the convolution with kernels scaled by a style, padded all around.

    Each output channel of each sample's kernel has unit norm after demodulation
    (Karras et al. 2020, Eqs. 1 and 3). Scales of input and output channels commute
    with the convolution, so that they go to kernel or maps, whichever is cheaper.

    Args:
        x: [n, channels_in, h, w].
        weight: [channels_out, channels_in, k, k].
        style: Scales of the input channels, [n, channels_in].
        bias: [channels_out].
        demodulate: Whether to.
        input_gain: Factor of x, after demodulation, scalar.

    Returns:
        [n, channels_out, h + k - 1, w + k - 1].
    """
    kernel_norm = torch.ones_like(bias)  # [channels_out]
    demodulation = kernel_norm.expand(len(x), -1)  # [n, channels_out]
    if demodulate:
        # Kernels and styles to unit mean square first, which half precision can hold.
        square = weight.square().sum((2, 3))  # [channels_out, channels_in]
        kernel_norm = (square.mean(1) / weight[0, 0].numel()).rsqrt()
        style = style * style.square().mean(1, keepdim=True).rsqrt()
        energy = style.square() @ square.T * kernel_norm.square()
        demodulation = (energy + 1e-8).rsqrt()
    style = style * input_gain
    bias, padding = bias.to(x.dtype), weight.shape[2] - 1
    if len(x) == 1:
        factors = torch.outer((demodulation * kernel_norm)[0], style[0])
        kernel = weight * factors[:, :, None, None]
        return F.conv2d(x, kernel.to(x.dtype), bias, padding=padding)
    kernel = (weight * kernel_norm[:, None, None, None]).to(x.dtype)
    x = F.conv2d(x * style.to(x.dtype)[:, :, None, None], kernel, padding=padding)
    demodulation = demodulation.to(x.dtype)[:, :, None, None]
    return torch.addcmul(bias[:, None, None], x, demodulation)
