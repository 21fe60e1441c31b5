"""A generator whose space S is known: what each channel does to CLIP's embedding."""

import torch
from torch import Tensor
from world import ColourEncoder, ColourGenerator

from clip2latent_kedro.editing.global_directions.config import RelevanceConfig
from clip2latent_kedro.interfaces import Identity, StyleLayer

CONFIG = {
    "num_images": 5,
    "num_statistics": 3000,
    "num_sigmas": 5.0,
    "psi": 1.0,
    "include_colours": True,
    "channels_per_block": 2,
    "batch_size": 7,
}
# Styles of w (red, green, blue): offsets and gains, channel by channel.
MEANS = torch.tensor([0.0, 3.0, -1.0, 0.0, 0.5])
GAINS = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0])


class StyledColours(ColourGenerator):
    """Channels 0 to 2 are red, green and blue at other scales, 3 does nothing.

    Channel 4, of ToRGB, is red the other way. After some batches a run is killed.
    """

    identity = Identity("styled-colours", "22")
    style_layers = (
        StyleLayer("first", 3, 0),
        StyleLayer("second", 1, 1),
        StyleLayer("third", 1, 1, "colours"),
    )

    def __init__(self, num_batches: int | None = None) -> None:
        self.num_batches = num_batches

    def styles(self, w: Tensor) -> Tensor:
        parts = torch.cat([w[:, 0], w[:, 1, :1], w[:, 1, 1:2]], dim=1)
        return MEANS.to(w) + GAINS.to(w) * parts

    def synthesis_from_styles(
        self, styles: Tensor, *, noise_mode: str = "const"
    ) -> Tensor:
        if self.num_batches is not None:
            self.num_batches -= 1
            if self.num_batches < 0:
                raise KeyboardInterrupt
        parts = (styles - MEANS.to(styles)) / GAINS.to(styles)
        red = parts[:, 0] - parts[:, 4]
        colour = torch.stack([red, parts[:, 1], parts[:, 2]], dim=1)
        return (colour / 20)[:, :, None, None].repeat(1, 1, 4, 4)

    def synthesis(self, w: Tensor, *, noise_mode: str = "const") -> Tensor:
        return self.synthesis_from_styles(self.styles(w))


def make_config(**changes):
    return RelevanceConfig(**CONFIG | changes)


__all__ = ["ColourEncoder", "StyledColours", "make_config"]
