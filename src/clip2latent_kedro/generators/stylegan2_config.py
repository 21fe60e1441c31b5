"""The architecture of a StyleGAN2 generator, and what can be built of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from clip2latent_kedro.checked import (
    Checked,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Rule,
)

Architecture = Literal["skip", "resnet", "orig"]

_MAX_TAPS = 64


@dataclass(frozen=True)
class StyleGAN2Config(Checked):
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

    z_dim: PositiveInt
    w_dim: PositiveInt
    resolution: Annotated[int, Interval(ge=4, le=4096)]
    channel_base: PositiveInt
    channel_max: PositiveInt
    mapping_layers: Annotated[int, Interval(ge=1, le=256)] = 8
    mapping_features: PositiveInt | None = None
    mapping_lr: PositiveFloat = 0.01
    conv_clamp: PositiveFloat | None = None
    c_dim: NonNegativeInt = 0
    embed_features: PositiveInt | None = None
    img_channels: PositiveInt = 3
    architecture: Architecture = "skip"
    resample_filter: Sequence[float] = (1, 3, 3, 1)
    use_noise: bool = True

    def __post_init__(self) -> None:
        """Check that such a network can be built."""
        super().__post_init__()
        object.__setattr__(self, "resample_filter", tuple(self.resample_filter))

    def rules(self) -> Iterator[Rule]:
        """Yield that blocks double the resolution, and that the filter passes some."""
        yield self.resolution.bit_count() == 1, "resolution", "a power of 2"
        taps = self.resample_filter
        is_filter = 2 <= len(taps) <= _MAX_TAPS and sum(taps) != 0
        expected = f"2 to {_MAX_TAPS} coefficients whose sum is not 0"
        yield is_filter, "resample_filter", expected

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
