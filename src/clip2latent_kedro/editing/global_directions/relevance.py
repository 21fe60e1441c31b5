"""What each channel of S does to CLIP's embedding."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ChannelRelevance:
    """Statistics of the channels of S, and their unit directions in CLIP's space.

    Attributes:
        mean: [num_channels].
        std: [num_channels].
        directions: Rows of unit length, [num_channels, clip_dim].
    """

    mean: Tensor
    std: Tensor
    directions: Tensor
