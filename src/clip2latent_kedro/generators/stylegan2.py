"""The StyleGAN2 generator network (Karras et al. 2020), in pure PyTorch.

Module and parameter names are those of NVIDIA's PyTorch release, so that its
weights load key by key. A modulated convolution scales its input by the style,
convolves the whole batch with shared weights and scales the output, which is the
same product as one kernel per sample and far faster on a CPU.
"""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.interfaces import NoiseMode

_FIR_TAPS = (1.0, 3.0, 3.0, 1.0)


@dataclass(frozen=True)
class StyleGAN2Config:
    """Architecture of a StyleGAN2 generator with skip connections.

    Attributes:
        z_dim: Channels of z.
        w_dim: Channels of w.
        resolution: Of the image, a power of 2 of at least 8.
        channel_base: A block of resolution r has `channel_base // r` channels,
        channel_max: but no more than this.
        mapping_layers: Fully connected layers from z to w.
        mapping_features: Channels between those layers; `w_dim` if None.
        mapping_lr: Learning-rate multiplier of the mapping, part of its weights.
        conv_clamp: Bound on activations; None for none.
    """

    z_dim: int
    w_dim: int
    resolution: int
    channel_base: int
    channel_max: int
    mapping_layers: int = 8
    mapping_features: int | None = None
    mapping_lr: float = 0.01
    conv_clamp: float | None = None

    @property
    def block_resolutions(self) -> list[int]:
        """Return the resolution of each block: 4, 8, ..., resolution."""
        return [2**power for power in range(2, self.resolution.bit_length())]

    @property
    def num_ws(self) -> int:
        """Return the number of layers that take their own w, 2 log2(resolution) - 2."""
        return 2 * len(self.block_resolutions)

    def channels(self, resolution: int) -> int:
        """Return the channels of the block of a resolution."""
        return min(self.channel_base // resolution, self.channel_max)


class FullyConnected(nn.Module):
    """A linear layer whose stored weights have unit variance (equalised rates)."""

    def __init__(
        self, dim_in: int, dim_out: int, *, lr: float = 1.0, bias_init: float = 0.0
    ) -> None:
        """Build with random weights, stored divided by the multiplier `lr`."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim_out, dim_in) / lr)
        self.bias = nn.Parameter(torch.full((dim_out,), bias_init))
        self.weight_gain = lr / sqrt(dim_in)
        self.bias_gain = lr

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, dim_out] of [n, dim_in]."""
        return F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


class MappingNetwork(nn.Module):
    """z -> w: normalisation to unit second moment, then fully connected layers."""

    w_avg: Tensor

    def __init__(self, config: StyleGAN2Config) -> None:
        """Build with random weights."""
        super().__init__()
        self.num_layers = config.mapping_layers
        self.num_ws = config.num_ws
        hidden = config.mapping_features or config.w_dim
        between = [hidden] * (config.mapping_layers - 1)
        dims = [config.z_dim, *between, config.w_dim]
        for index in range(config.mapping_layers):
            layer = FullyConnected(dims[index], dims[index + 1], lr=config.mapping_lr)
            self.add_module(f"fc{index}", layer)
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def forward(self, z: Tensor, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """Return w, [n, num_ws, w_dim].

        Args:
            z: [n, z_dim].
            psi: Truncation towards `w_avg`.
            cutoff: Number of leading layers that are truncated; all if None.
        """
        x = z * z.square().mean(1, keepdim=True).add(1e-8).rsqrt()
        for index in range(self.num_layers):
            x = leaky_relu(self.get_submodule(f"fc{index}")(x))
        w = x[:, None].repeat(1, self.num_ws, 1)
        if psi != 1:
            w[:, :cutoff] = self.w_avg.lerp(w[:, :cutoff], psi)
        return w


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
    ) -> None:
        """Build with random weights; noise starts with strength 0."""
        super().__init__()
        self.up = up
        self.clamp = config.conv_clamp
        self.affine = FullyConnected(config.w_dim, channels_in, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", fir_filter())

    def forward(self, x: Tensor, w: Tensor, noise_mode: NoiseMode) -> Tensor:
        """Return features [n, channels_out, h, w] for w [n, w_dim]."""
        style = self.affine(w)  # [n, channels_in]
        x = x * style[:, :, None, None]
        if self.up:
            x = upsampling_convolution(x, self.weight, self.resample_filter)
        else:
            x = F.conv2d(x, self.weight, padding=1)
        # Demodulation: each output channel of each sample's weights to unit norm.
        energy = style.square() @ self.weight.square().sum((2, 3)).T
        x = x * (energy + 1e-8).rsqrt()[:, :, None, None]
        if noise_mode == "const":
            x = x + self.noise_const * self.noise_strength
        elif noise_mode == "random":
            noise = torch.randn_like(x[:, :1])
            x = x + noise * self.noise_strength
        x = leaky_relu(x + self.bias[:, None, None])
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class ToRGB(nn.Module):
    """Modulated 1 x 1 convolution to colours, without demodulation."""

    def __init__(self, channels_in: int, config: StyleGAN2Config) -> None:
        """Build with random weights."""
        super().__init__()
        self.clamp = config.conv_clamp
        self.affine = FullyConnected(config.w_dim, channels_in, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(3, channels_in, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain = 1 / sqrt(channels_in)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return colours [n, 3, h, w] of features x for w [n, w_dim]."""
        style = self.affine(w) * self.weight_gain
        colours = F.conv2d(x * style[:, :, None, None], self.weight, self.bias)
        if self.clamp is None:
            return colours
        return colours.clamp(-self.clamp, self.clamp)


class SynthesisBlock(nn.Module):
    """One resolution: two convolutions (the first block: one) and its colours."""

    resample_filter: Tensor

    def __init__(self, resolution: int, config: StyleGAN2Config) -> None:
        """Build with random weights."""
        super().__init__()
        channels = config.channels(resolution)
        self.is_first = resolution == 4
        if self.is_first:
            self.const = nn.Parameter(torch.randn(channels, 4, 4))
        else:
            channels_in = config.channels(resolution // 2)
            self.conv0 = SynthesisLayer(
                channels_in, channels, config, resolution, up=True
            )
        self.conv1 = SynthesisLayer(channels, channels, config, resolution)
        self.torgb = ToRGB(channels, config)
        self.register_buffer("resample_filter", fir_filter())

    def forward(
        self,
        x: Tensor | None,
        image: Tensor | None,
        w: Tensor,
        noise_mode: NoiseMode,
    ) -> tuple[Tensor, Tensor]:
        """Return features and the image so far.

        Args:
            x: Features of the block before; None for the first.
            image: Its image; None for the first.
            w: One row for each layer, [n, 2 or 3, w_dim].
            noise_mode: See `SynthesisNetwork`.
        """
        if x is None or image is None:
            x = self.const.expand(len(w), -1, -1, -1)
        else:
            x = self.conv0(x, w[:, 0], noise_mode)
            image = upsample(image, self.resample_filter)
        x = self.conv1(x, w[:, -2], noise_mode)
        colours = self.torgb(x, w[:, -1])
        return x, colours if image is None else image + colours


class SynthesisNetwork(nn.Module):
    """w -> image, the sum of the up-sampled colours of all blocks."""

    def __init__(self, config: StyleGAN2Config) -> None:
        """Build with random weights."""
        super().__init__()
        self.block_resolutions = config.block_resolutions
        for resolution in self.block_resolutions:
            self.add_module(f"b{resolution}", SynthesisBlock(resolution, config))

    def forward(
        self, w: Tensor, noise_mode: NoiseMode = "const", last: int | None = None
    ) -> Tensor:
        """Return images, [n, 3, resolution, resolution], about [-1, 1].

        Args:
            w: [n, num_ws, w_dim].
            noise_mode: `const` (stored maps), `random` (new ones) or `none`.
            last: Stop at this resolution and return its image.
        """
        x: Tensor | None = None
        image: Tensor | None = None
        layer = 0
        for resolution in self.block_resolutions:
            # A block's colours share their w with the next block's first layer.
            num = 2 if resolution == 4 else 3
            block = self.get_submodule(f"b{resolution}")
            x, image = block(x, image, w[:, layer : layer + num], noise_mode)
            layer += num - 1
            if resolution == last:
                break
        assert image is not None
        return image


class StyleGAN2(nn.Module):
    """Mapping and synthesis together, as NVIDIA's `G_ema` holds them."""

    def __init__(self, config: StyleGAN2Config) -> None:
        """Build with random weights."""
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config)
        self.synthesis = SynthesisNetwork(config)


def leaky_relu(x: Tensor) -> Tensor:
    """Return leaky ReLU (slope 0.2) with gain sqrt(2), which keeps the variance."""
    return F.leaky_relu(x, 0.2) * sqrt(2)


def fir_filter() -> Tensor:
    """Return the low-pass filter of up-sampling, [4, 4], with sum 1."""
    taps = torch.tensor(_FIR_TAPS)
    return torch.outer(taps, taps) / taps.sum().square()


def upsample(x: Tensor, filter_: Tensor) -> Tensor:
    """Return [n, c, 2h, 2w]: zeros inserted, then filtered with gain 4."""
    kernel = (4 * filter_).expand(x.shape[1], 1, 4, 4)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


def upsampling_convolution(x: Tensor, weight: Tensor, filter_: Tensor) -> Tensor:
    """Return the transposed convolution of stride 2, then filtered with gain 4.

    Args:
        x: [n, channels_in, h, w].
        weight: [channels_out, channels_in, 3, 3].
        filter_: [4, 4], symmetric, with sum 1.

    Returns:
        [n, channels_out, 2h, 2w].
    """
    x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)  # [.., 2h+1, 2w+1]
    kernel = (4 * filter_).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, padding=1, groups=x.shape[1])
