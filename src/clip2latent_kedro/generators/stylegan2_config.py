"""The architecture of a StyleGAN2 generator, and what can be built of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal, get_args

from clip2latent_kedro.errors import InputError

Architecture = Literal["skip", "resnet", "orig"]

_MAX_RESOLUTION = 4096
_MAX_TAPS = 64
_MAX_MAPPING_LAYERS = 256
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
        if self.mapping_layers > _MAX_MAPPING_LAYERS:
            msg = (
                f"mapping_layers must be at most {_MAX_MAPPING_LAYERS}, got "
                f"{self.mapping_layers}."
            )
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
