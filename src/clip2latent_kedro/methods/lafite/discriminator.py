"""StyleGAN2's residual discriminator with LAFITE's second head.

Sources: Karras et al. 2020, Figure 7; drboog/Lafite, training/networks.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.checked import Checked, PositiveInt, Rule
from clip2latent_kedro.generators.stylegan2_layers import (
    FullyConnected,
    fir_filter,
    leaky_relu,
)

_GROUP = 4  # images whose deviations are told to each of them


@dataclass(frozen=True)
class DiscriminatorConfig(Checked):
    """Size of a discriminator.

    Attributes:
        resolution: Of the images, a power of 2 of at least 8.
        channel_base: A block of resolution r has `channel_base // r` channels,
        channel_max: but no more than this.
        text_dim: Channels of the text's embedding.
        img_channels: Colours of the images.
    """

    resolution: Annotated[int, Ge(8)]
    channel_base: PositiveInt
    channel_max: PositiveInt
    text_dim: PositiveInt
    img_channels: PositiveInt = 3

    def rules(self) -> Iterator[Rule]:
        """Yield that every block has channels."""
        expected = f"the resolution, {self.resolution}, or more"
        yield self.channel_base >= self.resolution, "channel_base", expected

    def channels(self, resolution: int) -> int:
        """Return the channels of the block of a resolution."""
        return min(self.channel_base // resolution, self.channel_max)


class EqualConvolution(nn.Module):
    """A convolution whose stored weights have unit variance; it may halve the size."""

    resample_filter: Tensor

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        *,
        down: bool = False,
        bias: bool = True,
    ) -> None:
        """Build with random weights."""
        super().__init__()
        self.down = down
        self.weight = nn.Parameter(
            torch.randn(channels_out, channels_in, kernel, kernel)
        )
        self.weight_gain = 1 / sqrt(channels_in * kernel**2)
        self.bias = nn.Parameter(torch.zeros(channels_out)) if bias else None
        self.register_buffer("resample_filter", fir_filter(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, channels_out, h, w] (halved where it does) of [n, .., h, w]."""
        weight = self.weight * self.weight_gain
        padding = weight.shape[-1] // 2
        if not self.down:
            return F.conv2d(x, weight, self.bias, padding=padding)
        # A low-pass filter before every second sample is dropped.
        is_pointwise = padding == 0
        kernel = self.resample_filter.expand(x.shape[1], 1, -1, -1)
        x = F.conv2d(
            x,
            kernel,
            stride=2 if is_pointwise else 1,
            padding=1 + padding,
            groups=x.shape[1],
        )
        return F.conv2d(x, weight, self.bias, stride=1 if is_pointwise else 2)


class DiscriminatorBlock(nn.Module):
    """Two convolutions to half the resolution, and a way around them."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        """Build with random weights."""
        super().__init__()
        self.conv0 = EqualConvolution(channels_in, channels_in, 3)
        self.conv1 = EqualConvolution(channels_in, channels_out, 3, down=True)
        self.skip = EqualConvolution(
            channels_in, channels_out, 1, down=True, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, channels_out, h / 2, w / 2] of [n, channels_in, h, w]."""
        y = leaky_relu(self.conv1(leaky_relu(self.conv0(x))))
        # The sum of two branches keeps the variance of one.
        shortcut: Tensor = self.skip(x)
        return (y + shortcut) * sqrt(0.5)


class Discriminator(nn.Module):
    """image -> how real it is, and where the text's embedding should be."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        """Build with random weights."""
        super().__init__()
        self.config = config
        sizes = [config.resolution]
        while sizes[-1] > 4:
            sizes.append(sizes[-1] // 2)
        channels = [config.channels(size) for size in sizes]
        self.from_rgb = EqualConvolution(config.img_channels, channels[0], 1)
        self.blocks = nn.Sequential(
            *(
                DiscriminatorBlock(channels[index], channels[index + 1])
                for index in range(len(sizes) - 1)
            )
        )
        last = channels[-1]
        self.conv = EqualConvolution(last + 1, last, 3)
        self.fc = FullyConnected(last * 16, last)
        self.out = FullyConnected(last, 1)
        self.text = FullyConnected(last, config.text_dim)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, [n], and features, [n, text_dim], to be like the text's.

        Args:
            image: [n, img_channels, resolution, resolution].
        """
        x = self.blocks(leaky_relu(self.from_rgb(image)))
        x = leaky_relu(self.conv(append_deviation(x)))
        x = leaky_relu(self.fc(x.flatten(1)))
        return self.out(x)[:, 0], self.text(x)


def append_deviation(x: Tensor) -> Tensor:
    """Return [n, c + 1, h, w]: x and how its images differ (Karras et al. 2018).

    The last channel is the standard deviation over a group, averaged over channels
    and pixels. Image i is in a group with i + n / 4, i + 2 n / 4, ..., or all are in
    one group where n is no multiple of 4.
    """
    num = len(x) // _GROUP if len(x) % _GROUP == 0 else 1
    groups = x.reshape(-1, num, *x.shape[1:])  # [group, num, c, h, w]
    variance = groups.var(dim=0, correction=0)
    deviation = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))  # [num]
    channel = deviation.repeat(len(x) // num)[:, None, None, None]
    return torch.cat([x, channel.expand(-1, 1, *x.shape[2:])], dim=1)
