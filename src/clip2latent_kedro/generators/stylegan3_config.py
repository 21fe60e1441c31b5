"""Architecture of a StyleGAN3 generator, and the signals between its layers.

A layer's output is a continuous signal, sampled (Karras et al. 2021, Section 3.2).
What one layer hands to the next is told by where its band ends (the cutoff), where
the filter has damped all of it (the stopband), and how densely it is sampled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from clip2latent_kedro.checked import (
    Checked,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Rule,
)


@dataclass(frozen=True)
class Signal:
    """What flows between two layers.

    Frequencies are in cycles per image, rates in samples per image.

    Attributes:
        channels: Channels of the feature map.
        size: Its height and width, the margin around the image included.
        rate: Sampling rate, a power of 2.
        cutoff: Where the band ends, f_c.
        half_width: Of the transition band around the cutoff, f_h.
    """

    channels: int
    size: int
    rate: int
    cutoff: float
    half_width: float


@dataclass(frozen=True)
class StyleGAN3Config(Checked):
    """Architecture, in the names and with the defaults of NVIDIA's release.

    The defaults are those of configuration T; R has `conv_kernel` 1, radial filters,
    and twice the `channel_base` and `channel_max`.

    Attributes:
        z_dim: Channels of z.
        c_dim: Channels of the class label; 0 if there is none.
        w_dim: Channels of w.
        img_resolution: Pixels a side of the image, at least 4.
        img_channels: Channels of the image.
        mapping_layers: Fully connected layers from z to w.
        mapping_lr: Learning-rate multiplier of the mapping, part of its weights.
        channel_base: A layer of cutoff f_c has `channel_base / (2 f_c)` channels,
        channel_max: but no more than this.
        num_layers: Synthesis layers, without the one that makes colours.
        num_critical: Last layers that are critically sampled.
        first_cutoff: Cutoff of the first layer; that of the last is Nyquist's.
        first_stopband: Where the first layer's stopband begins, at the least.
        last_stopband_rel: Where the last layer's begins, relative to its cutoff.
        margin_size: Samples around the image, on each side.
        output_scale: Factor of the image.
        conv_kernel: Size of the convolutions.
        filter_size: Taps of the filters at the lower of their two rates.
        lrelu_upsampling: Rate of the leaky ReLU relative to the layer's.
        use_radial_filters: Low-pass the layers that are not critically sampled with
            a filter that has no preferred direction.
        conv_clamp: Bound on activations; None for none.
    """

    z_dim: PositiveInt
    c_dim: NonNegativeInt
    w_dim: PositiveInt
    img_resolution: Annotated[int, Interval(ge=4, le=4096)]
    img_channels: PositiveInt = 3
    mapping_layers: Annotated[int, Interval(ge=1, le=256)] = 2
    channel_base: PositiveInt = 32768
    channel_max: PositiveInt = 512
    num_layers: Annotated[int, Interval(ge=2, le=256)] = 14
    num_critical: PositiveInt = 2
    first_cutoff: PositiveFloat = 2.0
    first_stopband: PositiveFloat = 2**2.1
    last_stopband_rel: PositiveFloat = 2**0.3
    margin_size: NonNegativeInt = 10
    output_scale: PositiveFloat = 0.25
    conv_kernel: PositiveInt = 3
    filter_size: Annotated[int, Interval(ge=1, le=64)] = 6
    lrelu_upsampling: Annotated[int, Interval(ge=1, le=16)] = 2
    use_radial_filters: bool = False
    conv_clamp: PositiveFloat | None = 256.0
    mapping_lr: PositiveFloat = 0.01

    def rules(self) -> Iterator[Rule]:
        """Yield that some layers are not critically sampled, and cutoffs rise."""
        above = f"above num_critical, {self.num_critical}"
        yield self.num_layers > self.num_critical, "num_layers", above
        expected = f"at most half of img_resolution, {self.img_resolution}"
        yield self.first_cutoff <= self.img_resolution / 2, "first_cutoff", expected

    # Of the mapping, which is StyleGAN2's: all its layers have `w_dim` channels.
    mapping_features = None
    embed_features = None

    @property
    def resolution(self) -> int:
        """Return the resolution of the image."""
        return self.img_resolution

    @property
    def num_ws(self) -> int:
        """Return the number of rows of w: the input's, one a layer, the colours'."""
        return self.num_layers + 2

    @property
    def signals(self) -> list[Signal]:
        """Return the output of each layer, that of the colours last.

        Cutoffs and stopbands grow geometrically and stay at the end for the critically
        sampled layers; the rate is the least power of 2 that holds the stopband, but
        no more than the resolution (Karras et al. 2021, Section 3.2, Appendix F.1).
        """
        # In NVIDIA's order, since rates jump where a stopband is a power of 2.
        last_cutoff = self.img_resolution / 2
        last_stopband = last_cutoff * self.last_stopband_rel
        steps = np.arange(self.num_layers + 1) / (self.num_layers - self.num_critical)
        progress = np.minimum(steps, 1)
        cutoffs = self.first_cutoff * (last_cutoff / self.first_cutoff) ** progress
        stopbands = (
            self.first_stopband * (last_stopband / self.first_stopband) ** progress
        )
        limits = np.minimum(stopbands * 2, self.img_resolution)
        rates = np.exp2(np.ceil(np.log2(limits)))
        half_widths = np.maximum(stopbands, rates / 2) - cutoffs
        sizes = rates + 2 * self.margin_size
        sizes[-2:] = self.img_resolution
        channels = np.rint(
            np.minimum(self.channel_base / 2 / cutoffs, self.channel_max)
        )
        channels[-1] = self.img_channels
        return [
            Signal(
                channels=int(channels[index]),
                size=int(sizes[index]),
                rate=int(rates[index]),
                cutoff=float(cutoffs[index]),
                half_width=float(half_widths[index]),
            )
            for index in range(self.num_layers + 1)
        ]
