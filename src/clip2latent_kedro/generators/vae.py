"""The decoder of a variational autoencoder, with a flow as its mapping network.

A VAE's codes fill the normal distribution of its prior badly: between the kinds of
pictures that it knows lie codes of none. Here the decoder is left alone, and a small
flow carries z ~ N(0, I) to where codes are, after Dai and Wipf (2019), who learn such a
second stage as another VAE. The flow is rectified (Liu et al. 2023): it integrates

    dw/dt = v(w, t)   from   w(0) = z   to   w(1) = w

in Euler steps. A decoder without one has w = z.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, MultipleOf
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.checked import Checked, NonNegativeInt, PositiveInt

FLOW_PREFIX = "flow."  # of its tensors in a state dict
NUM_GROUPS = 8  # of the channels that are normalised together
FLOW_STEPS = 16
_NUM_FREQUENCIES = 8  # of the waves by which the flow knows t
_START = 4  # pixels a side of the first feature map


@dataclass(frozen=True)
class VaeConfig(Checked):
    """Sizes of a decoder.

    Attributes:
        latent_dim: Channels of w.
        channels: Of the feature maps at 4, 8, ... pixels, each a multiple of 8; the
            last is at the resolution of the picture.
        flow_width: Channels of the flow's layers; 0 for none.
        flow_depth: Number of its residual layers.
    """

    latent_dim: PositiveInt
    channels: tuple[Annotated[int, Ge(1), MultipleOf(NUM_GROUPS)], ...]
    flow_width: NonNegativeInt = 0
    flow_depth: NonNegativeInt = 0

    @property
    def resolution(self) -> int:
        """Pixels a side of the pictures."""
        return int(_START * 2 ** len(self.channels))


class UpBlock(nn.Module):
    """Doubles a feature map: transposed convolution, then a residual one."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        """Build with random weights."""
        super().__init__()
        self.up = nn.ConvTranspose2d(channels_in, channels_out, 4, 2, 1)
        self.norm0 = nn.GroupNorm(NUM_GROUPS, channels_out)
        self.conv = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.norm1 = nn.GroupNorm(NUM_GROUPS, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, channels_out, 2 h, 2 w] of [n, channels_in, h, w]."""
        x = F.silu(self.norm0(self.up(x)))
        return x + F.silu(self.norm1(self.conv(x)))


class VaeDecoder(nn.Module):
    """w -> picture."""

    def __init__(self, config: VaeConfig) -> None:
        """Build with random weights."""
        super().__init__()
        self.config = config
        widths = config.channels
        self.input = nn.Linear(config.latent_dim, widths[0] * _START**2)
        self.blocks = nn.ModuleList(map(UpBlock, widths[:-1], widths[1:]))
        self.output = nn.Conv2d(widths[-1], 3 * 2**2, 3, padding=1)

    def forward(self, w: Tensor) -> Tensor:
        """Return pictures, [n, 3, resolution, resolution], of w [n, latent_dim]."""
        x = F.silu(self.input(w)).view(len(w), -1, _START, _START)
        for block in self.blocks:
            x = block(x)
        return F.pixel_shuffle(self.output(x), 2)


class LatentFlow(nn.Module):
    """v(w, t): where a latent on its way from z to w is going.

    Buffers hold mean and standard deviation of w, so that the flow itself moves
    numbers of unit size.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, latent_dim: int, width: int, depth: int) -> None:
        """Build with random weights and no shift or scale."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("std", torch.ones(latent_dim))
        self.input = nn.Linear(latent_dim, width)
        self.time = nn.Linear(2 * _NUM_FREQUENCIES, width)
        self.layers = nn.ModuleList(FlowLayer(width) for _ in range(depth))
        self.output = nn.Linear(width, latent_dim)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the velocity, [n, latent_dim], at x of unit size and t, [n]."""
        angles = t[:, None] * torch.arange(1, _NUM_FREQUENCIES + 1).to(t)
        waves = torch.cat([angles.sin(), angles.cos()], dim=1)
        hidden = self.input(x) + self.time(waves)
        for layer in self.layers:
            hidden = layer(hidden)
        velocity: Tensor = self.output(F.silu(hidden))
        return velocity

    def transport(self, z: Tensor, num_steps: int = FLOW_STEPS) -> Tensor:
        """Return w, [n, latent_dim], of standard normal z."""
        x = z
        for step in range(num_steps):
            t = torch.full((len(z),), step / num_steps).to(z)
            x = x + self(x, t) / num_steps
        return self.mean + self.std * x


class FlowLayer(nn.Module):
    """A residual layer of the flow."""

    def __init__(self, width: int) -> None:
        """Build with random weights."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.contract = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return x, [n, width], with what the layer adds to it."""
        added: Tensor = self.contract(F.silu(self.expand(self.norm(x))))
        return x + added
