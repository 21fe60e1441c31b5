"""What each channel of S does to CLIP's embedding."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.pairs.contents import Array


@dataclass(frozen=True)
class RelevanceBlock:
    """Consecutive channels of S, saved together.

    Attributes:
        index: Position among the blocks.
        total: Channels of the whole of S.
        arrays: `mean`, `std`, `agreement` and `seconds`, [channels], and `direction`,
            [channels, clip_dim] (see `ChannelRelevance`); empty if nothing is to be
            saved.
        recipe: What made the block (see `measurement.describe_recipe`).
        fresh: Whether to drop what is stored before this block is saved.
    """

    index: int
    total: int
    arrays: Mapping[str, Array]
    recipe: Mapping[str, Any]
    fresh: bool = False


@dataclass(frozen=True)
class ChannelRelevance:
    """Statistics of the channels of S, and their unit directions in CLIP's space.

    Attributes:
        mean: [num_channels].
        std: [num_channels].
        directions: Rows of unit length, [num_channels, clip_dim]; zero of a channel
            that was not moved or changes nothing.
        agreement: Length of the mean of the pictures' unit differences, before it is
            given the length 1, [num_channels]: 1 if the channel does the same to all.
        recipe: What made it (see `measurement.describe_recipe`).
        seconds: That the measurement took.
    """

    mean: Tensor
    std: Tensor
    directions: Tensor
    agreement: Tensor | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def num_images(self) -> int:
        """Pictures that were made for it, of which the cost is told."""
        num_moved = int(self.directions.any(dim=1).sum())
        return 2 * num_moved * int(self.recipe.get("num_images", 0))

    def check_models(self, generator: Generator, encoder: Encoder) -> None:
        """Raise InputError unless it was measured with these two."""
        for role, model in (("generator", generator), ("encoder", encoder)):
            identity = f"{model.identity.name}@{model.identity.digest}"
            if self.recipe.get(role, identity) != identity:
                msg = (
                    f"channel_relevance must have been measured with the {role} "
                    f"{model.identity}, got {str(self.recipe[role])[:80]}. Run the "
                    f"pipeline relevance with --params=resume:false."
                )
                raise InputError(msg)
