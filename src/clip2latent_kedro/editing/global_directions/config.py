"""How the relevance of the channels of S is measured."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from clip2latent_kedro.checked import Checked, PositiveFloat, PositiveInt


@dataclass(frozen=True)
class RelevanceConfig(Checked):
    """`params:editing.relevance`.

    Attributes:
        num_images: Pictures in which each channel is moved both ways (StyleCLIP: 100).
        num_statistics: Samples of w that mean and spread of a channel are measured
            over (StyleCLIP: 100 000).
        num_sigmas: How far from its mean a channel is moved, in standard deviations.
        psi: Truncation of all these w (StyleCLIP: 0.7 of the first eight layers).
        include_colours: Whether to move the channels of ToRGB, too.
        channels_per_block: Channels that are stored together.
        batch_size: Pictures made at a time.
    """

    num_images: PositiveInt
    num_statistics: Annotated[int, Ge(2)]
    num_sigmas: PositiveFloat
    psi: PositiveFloat
    include_colours: bool
    channels_per_block: PositiveInt
    batch_size: PositiveInt
