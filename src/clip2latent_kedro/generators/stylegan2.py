"""The StyleGAN2 generator network (Karras et al. 2020), in pure PyTorch.

Module and parameter names are those of NVIDIA's PyTorch release, so that its
weights load key by key. A modulated convolution scales its input by the style,
convolves the whole batch with shared weights and scales the output, which is the
same product as one kernel per sample and far faster on a CPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.stylegan2_layers import (
    FullyConnected,
    SkipConvolution,
    fir_filter,
    leaky_relu,
    second_moment_norm,
    upsample,
    upsampling_convolution,
)
from clip2latent_kedro.interfaces import NoiseMode

__all__ = [
    "FullyConnected",
    "MappingNetwork",
    "StyleGAN2",
    "StyleGAN2Config",
    "SynthesisLayer",
    "SynthesisNetwork",
    "ToRGB",
    "fir_filter",
    "leaky_relu",
    "upsample",
    "upsampling_convolution",
]

Architecture = Literal["skip", "resnet", "orig"]

_MAX_RESOLUTION = 4096
_MAX_TAPS = 64
_LEAST = {
    "z_dim": 1,
    "w_dim": 1,
    "resolution": 4,
    "channel_base": 1,
    "channel_max": 1,
    "mapping_layers": 1,
    "c_dim": 0,
    "img_channels": 1,
}


@dataclass(frozen=True)
class StyleGAN2Config:
    """Architecture of a StyleGAN2 generator.

    Attributes:
        z_dim: Channels of z.
        w_dim: Channels of w.
        resolution: Of the image, a power of 2 of at least 4.
        channel_base: A block of resolution r has `channel_base // r` channels,
        channel_max: but no more than this.
        mapping_layers: Fully connected layers from z to w.
        mapping_features: Channels between those layers; `w_dim` if None.
        mapping_lr: Learning-rate multiplier of the mapping, part of its weights.
        conv_clamp: Bound on activations; None for none.
        c_dim: Channels of the label c; 0 for an unconditional generator.
        embed_features: Channels that c becomes beside z; `w_dim` if None.
        img_channels: Colours of the image.
        architecture: What joins the blocks (Karras et al. 2020, Figure 7): the image
            (`skip`), the features (`resnet`) or nothing (`orig`).
        resample_filter: Coefficients of the low-pass filter along one axis.
        use_noise: Whether the layers add noise.
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
    c_dim: int = 0
    embed_features: int | None = None
    img_channels: int = 3
    architecture: Architecture = "skip"
    resample_filter: Sequence[float] = (1, 3, 3, 1)
    use_noise: bool = True

    def __post_init__(self) -> None:
        """Check that such a network can be built."""
        object.__setattr__(self, "resample_filter", tuple(self.resample_filter))
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                msg = f"{name} must be a whole number from {least}, got {value!r}."
                raise InputError(msg)
        for name in ("mapping_features", "embed_features"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                msg = f"{name} must be a whole number from 1 or None, got {value!r}."
                raise InputError(msg)
        for name in ("mapping_lr", "conv_clamp"):
            value = getattr(self, name)
            is_left_out = name == "conv_clamp" and value is None
            if not is_left_out and not 0 < value < inf:
                msg = f"{name} must be a positive number, got {value!r}."
                raise InputError(msg)
        is_power = self.resolution.bit_count() == 1
        if not is_power or self.resolution > _MAX_RESOLUTION:
            msg = (
                f"resolution must be a power of 2 from 4 to {_MAX_RESOLUTION}, got "
                f"{self.resolution}."
            )
            raise InputError(msg)
        if self.architecture not in get_args(Architecture):
            msg = (
                f"architecture must be one of {', '.join(get_args(Architecture))}, got "
                f"{self.architecture!r}."
            )
            raise InputError(msg)
        taps = self.resample_filter
        is_filter = 2 <= len(taps) <= _MAX_TAPS and all(map(isfinite, taps))
        if not is_filter or sum(taps) == 0:
            msg = (
                f"resample_filter must be 2 to {_MAX_TAPS} coefficients whose sum is "
                f"not 0, got {list(taps)}."
            )
            raise InputError(msg)

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


class MappingNetwork(nn.Module):
    """z -> w: normalisation to unit second moment, then fully connected layers.

    A label c becomes an embedding, normalised as z is, beside it.
    """

    w_avg: Tensor

    def __init__(self, config: StyleGAN2Config) -> None:
        """Build with random weights."""
        super().__init__()
        self.num_layers = config.mapping_layers
        self.num_ws = config.num_ws
        self.c_dim = config.c_dim
        dim_in = config.z_dim
        if config.c_dim:
            embed_features = config.embed_features or config.w_dim
            self.embed = FullyConnected(config.c_dim, embed_features)
            dim_in += embed_features
        hidden = config.mapping_features or config.w_dim
        dims = [dim_in, *[hidden] * (config.mapping_layers - 1), config.w_dim]
        for index in range(config.mapping_layers):
            layer = FullyConnected(dims[index], dims[index + 1], lr=config.mapping_lr)
            self.add_module(f"fc{index}", layer)
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def forward(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        c: Tensor | None = None,
    ) -> Tensor:
        """Return w, [n, num_ws, w_dim].

        Args:
            z: [n, z_dim].
            psi: Truncation towards `w_avg`.
            cutoff: Number of leading layers that are truncated; all if None.
            c: Labels, [n, c_dim], of a conditional generator; None of another.

        Raises:
            InputError: If c is missing, or given to an unconditional generator.
        """
        if (c is None) == bool(self.c_dim):
            got = "none" if c is None else list(c.shape)
            msg = f"A label c of {self.c_dim} channels is expected with z, got {got}."
            raise InputError(msg)
        x = second_moment_norm(z)
        if c is not None:
            x = torch.cat([x, second_moment_norm(self.embed(c))], dim=1)
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
        gain: float = 1.0,
    ) -> None:
        """Build with random weights; noise starts with strength 0."""
        super().__init__()
        self.up = up
        self.gain = gain
        self.clamp = config.conv_clamp
        self.use_noise = config.use_noise
        self.affine = FullyConnected(config.w_dim, channels_in, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        if config.use_noise:
            self.noise_strength = nn.Parameter(torch.zeros([]))
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", fir_filter(config.resample_filter))

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
        if self.use_noise and noise_mode == "const":
            x = x + self.noise_const * self.noise_strength
        elif self.use_noise and noise_mode == "random":
            noise = torch.randn_like(x[:, :1])
            x = x + noise * self.noise_strength
        x = leaky_relu(x + self.bias[:, None, None])
        x = x if self.clamp is None else x.clamp(-self.clamp, self.clamp)
        return x if self.gain == 1 else x * self.gain


class ToRGB(nn.Module):
    """Modulated 1 x 1 convolution to colours, without demodulation."""

    def __init__(self, channels_in: int, config: StyleGAN2Config) -> None:
        """Build with random weights."""
        super().__init__()
        self.clamp = config.conv_clamp
        self.affine = FullyConnected(config.w_dim, channels_in, bias_init=1.0)
        colours = config.img_channels
        self.weight = nn.Parameter(torch.randn(colours, channels_in, 1, 1))
        self.bias = nn.Parameter(torch.zeros(colours))
        self.weight_gain = 1 / sqrt(channels_in)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return colours [n, img_channels, h, w] of features x for w [n, w_dim]."""
        style = self.affine(w) * self.weight_gain
        colours = F.conv2d(x * style[:, :, None, None], self.weight, self.bias)
        if self.clamp is None:
            return colours
        return colours.clamp(-self.clamp, self.clamp)


class SynthesisBlock(nn.Module):
    """One resolution: two convolutions (the first block: one) and its colours.

    Colours are made by every block of architecture `skip`, of others by the last.
    """

    resample_filter: Tensor

    def __init__(self, resolution: int, config: StyleGAN2Config) -> None:
        """Build with random weights."""
        super().__init__()
        channels = config.channels(resolution)
        self.is_first = resolution == 4
        self.is_residual = config.architecture == "resnet" and not self.is_first
        # The sum of two branches keeps the variance of one.
        gain = sqrt(0.5) if self.is_residual else 1.0
        if self.is_first:
            self.const = nn.Parameter(torch.randn(channels, 4, 4))
        else:
            channels_in = config.channels(resolution // 2)
            self.conv0 = SynthesisLayer(
                channels_in, channels, config, resolution, up=True
            )
        self.conv1 = SynthesisLayer(channels, channels, config, resolution, gain=gain)
        is_last = resolution == config.resolution
        self.has_colours = is_last or config.architecture == "skip"
        if self.has_colours:
            self.torgb = ToRGB(channels, config)
        if self.is_residual:
            taps = config.resample_filter
            self.skip = SkipConvolution(channels_in, channels, taps)
        self.register_buffer("resample_filter", fir_filter(config.resample_filter))

    def forward(
        self,
        x: Tensor | None,
        image: Tensor | None,
        w: Tensor,
        noise_mode: NoiseMode,
    ) -> tuple[Tensor, Tensor | None]:
        """Return features and the image so far, None before the first colours.

        Args:
            x: Features of the block before; None for the first.
            image: Its image; None if it has none.
            w: One row for each layer, [n, 2 or 3, w_dim], the colours' last.
            noise_mode: See `SynthesisNetwork`.
        """
        if x is None:
            x = self.const.expand(len(w), -1, -1, -1)
            x = self.conv1(x, w[:, -2], noise_mode)
        else:
            features = self.conv0(x, w[:, 0], noise_mode)
            features = self.conv1(features, w[:, -2], noise_mode)
            x = features + self.skip(x) * sqrt(0.5) if self.is_residual else features
        if image is not None:
            image = upsample(image, self.resample_filter)
        if self.has_colours:
            colours = self.torgb(x, w[:, -1])
            image = colours if image is None else image + colours
        return x, image


class SynthesisNetwork(nn.Module):
    """w -> image, the sum of the up-sampled colours of all blocks that make some."""

    def __init__(self, config: StyleGAN2Config) -> None:
        """Build with random weights."""
        super().__init__()
        if config.channels(config.resolution) < 1:
            msg = (
                f"channel_base must be the resolution ({config.resolution}) or more, "
                f"got {config.channel_base}, which leaves a block without channels."
            )
            raise InputError(msg)
        self.block_resolutions = config.block_resolutions
        for resolution in self.block_resolutions:
            self.add_module(f"b{resolution}", SynthesisBlock(resolution, config))

    def forward(
        self, w: Tensor, noise_mode: NoiseMode = "const", last: int | None = None
    ) -> Tensor:
        """Return images, [n, img_channels, resolution, resolution], about [-1, 1].

        Args:
            w: [n, num_ws, w_dim].
            noise_mode: `const` (stored maps), `random` (new ones) or `none`.
            last: Stop at this resolution and return its image (architecture `skip`).
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
