"""The network of BigGAN-deep (Brock et al. 2019), for inference at one truncation.

Layers and names follow the graph that DeepMind published, as pytorch-pretrained-BigGAN
stores its weights. Spectral norms and the statistics of the batch norms are constants
here: see `biggan.build_biggan`, which works them out once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_START = 4  # pixels a side of the first feature map


@dataclass(frozen=True)
class BlockConfig:
    """One residual block.

    Attributes:
        channels_in: Before it.
        channels_out: After it, the same or fewer.
        middle: Between its convolutions.
        up: Whether it doubles the resolution.
    """

    channels_in: int
    channels_out: int
    middle: int
    up: bool


@dataclass(frozen=True)
class BigGanConfig:
    """Sizes of the network.

    Attributes:
        z_dim: Of the noise and, equally, of the embedding of a class.
        num_classes: How many classes it draws.
        blocks: Its residual blocks, coarse to fine.
        attention: Index of the block that self-attention comes before; None for none.
        eps: Added to the variances of batch norms.
    """

    z_dim: int
    num_classes: int
    blocks: tuple[BlockConfig, ...]
    attention: int | None
    eps: float

    @property
    def resolution(self) -> int:
        """Pixels a side of the pictures."""
        return int(_START * 2 ** sum(block.up for block in self.blocks))


class ConditionedNorm(nn.Module):
    """Batch norm of stored statistics, its gain and bias linear in the latent.

    y = (x - mean) / sqrt(var + eps) * (1 + scale(w)) + offset(w)
    """

    mean: Tensor
    var: Tensor

    def __init__(self, channels: int, w_dim: int, eps: float) -> None:
        """Build with neutral statistics."""
        super().__init__()
        self.eps = eps
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))
        self.scale = nn.Linear(w_dim, channels, bias=False)
        self.offset = nn.Linear(w_dim, channels, bias=False)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return x, [n, channels, h, w], normalised, then styled by w, [n, w_dim]."""
        gain = (1 + self.scale(w)) * (self.var + self.eps).rsqrt()  # [n, channels]
        shift = self.offset(w) - self.mean * gain
        return torch.addcmul(shift[..., None, None], x, gain[..., None, None])


class Block(nn.Module):
    """A residual bottleneck, whose skip drops channels that are too many."""

    def __init__(self, config: BlockConfig, w_dim: int, eps: float) -> None:
        """Build with random weights."""
        super().__init__()
        self.config = config
        middle = config.middle
        self.bn_0 = ConditionedNorm(config.channels_in, w_dim, eps)
        self.conv_0 = nn.Conv2d(config.channels_in, middle, 1)
        self.bn_1 = ConditionedNorm(middle, w_dim, eps)
        self.conv_1 = nn.Conv2d(middle, middle, 3, padding=1)
        self.bn_2 = ConditionedNorm(middle, w_dim, eps)
        self.conv_2 = nn.Conv2d(middle, middle, 3, padding=1)
        self.bn_3 = ConditionedNorm(middle, w_dim, eps)
        self.conv_3 = nn.Conv2d(middle, config.channels_out, 1)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return the next feature map, of x [n, channels_in, h, w] and w [n, w_dim]."""
        skip = x[:, : self.config.channels_out]
        x = F.relu(self.bn_1(self.conv_0(F.relu(self.bn_0(x, w))), w))
        if self.config.up:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            skip = F.interpolate(skip, scale_factor=2, mode="nearest")
        x = F.relu(self.bn_2(self.conv_1(x), w))
        x = F.relu(self.bn_3(self.conv_2(x), w))
        following: Tensor = skip + self.conv_3(x)
        return following


class SelfAttention(nn.Module):
    """Each pixel looks at a map of half the resolution (Zhang et al. 2019)."""

    def __init__(self, channels: int) -> None:
        """Build with random weights and no effect."""
        super().__init__()
        self.snconv1x1_theta = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.snconv1x1_phi = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.snconv1x1_g = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.snconv1x1_o_conv = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return x, [n, channels, h, w], with what its pixels see of each other."""
        query = self.snconv1x1_theta(x).flatten(2).transpose(1, 2)
        key = F.max_pool2d(self.snconv1x1_phi(x), 2).flatten(2).transpose(1, 2)
        value = F.max_pool2d(self.snconv1x1_g(x), 2).flatten(2).transpose(1, 2)
        # No 1 / sqrt(d), unlike a transformer's.
        seen = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        seen = seen.transpose(1, 2).reshape(len(x), -1, *x.shape[2:])
        attended: Tensor = x + self.gamma * self.snconv1x1_o_conv(seen)
        return attended


class BigGan(nn.Module):
    """w = (noise, class embedding) -> picture."""

    def __init__(self, config: BigGanConfig) -> None:
        """Build with random weights."""
        super().__init__()
        self.config = config
        w_dim = 2 * config.z_dim
        first, last = config.blocks[0].channels_in, config.blocks[-1].channels_out
        self.gen_z = nn.Linear(w_dim, first * _START**2)
        self.layers = nn.ModuleList(
            _layers(config.blocks, config.attention, w_dim, config.eps)
        )
        self.bn = nn.BatchNorm2d(last, eps=config.eps)
        self.conv_to_rgb = nn.Conv2d(last, 3, 3, padding=1)

    def forward(self, w: Tensor) -> Tensor:
        """Return pictures, [n, 3, resolution, resolution] in [-1, 1], of w."""
        # Channels last, as TensorFlow has them.
        x = self.gen_z(w).view(len(w), _START, _START, -1).permute(0, 3, 1, 2)
        for layer in self.layers:
            x = layer(x) if isinstance(layer, SelfAttention) else layer(x, w)
        picture: Tensor = self.conv_to_rgb(F.relu(self.bn(x)))
        return picture.tanh()


def _layers(
    blocks: Sequence[BlockConfig], attention: int | None, w_dim: int, eps: float
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for index, block in enumerate(blocks):
        if index == attention:
            layers.append(SelfAttention(block.channels_in))
        layers.append(Block(block, w_dim, eps))
    return layers
