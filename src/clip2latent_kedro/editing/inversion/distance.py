"""How far pictures are from those that they are to show."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.encoders.pixels import PixelLoss
from clip2latent_kedro.interfaces import PerceptualLoss
from clip2latent_kedro.methods.method import UnavailableError


@dataclass(frozen=True)
class PictureDistance:
    """Perceptual loss and pixels, weighted, as one squared distance.

    Attributes:
        perceptual: Features of pictures; None if its weight is 0.
        perceptual_weight: Its weight.
        pixel_weight: Weight of the mean square difference of pixels in [-1, 1].
        max_side: Larger pictures are brought to this many pixels a side first.
    """

    perceptual: PerceptualLoss | None
    perceptual_weight: float
    pixel_weight: float
    max_side: int

    def features(self, image: Tensor) -> Tensor:
        """Return features, [n, num_features], of images [n, 3, side, side]."""
        if image.shape[-1] > self.max_side:
            size = (self.max_side, self.max_side)
            image = functional.interpolate(image, size=size, mode="area")
        parts = []
        if self.perceptual is not None:
            seen = self.perceptual.features(image)
            parts.append(self.perceptual_weight**0.5 * seen)
        if self.pixel_weight:
            parts.append(self.pixel_weight**0.5 * PixelLoss().features(image))
        return torch.cat(parts, dim=1)

    def between(self, image: Tensor, features: Tensor) -> Tensor:
        """Return distances, [n], of images from others, of which features are given."""
        return (self.features(image) - features).square().sum(dim=1)


def make_distance(
    perceptual: PerceptualLoss | None, config: InversionConfig
) -> PictureDistance:
    """Return the distance of some settings.

    Args:
        perceptual: Of the domain; None if it has none.
        config: The weights.

    Raises:
        UnavailableError: If a perceptual loss is asked for, and there is none.
    """
    if config.perceptual_weight and perceptual is None:
        msg = (
            f"There is no perceptual loss {config.perceptual!r}. Put its files where "
            f"the catalog entry perceptual has them, or set "
            f"editing.inversion.perceptual to pixels."
        )
        raise UnavailableError(msg)
    return PictureDistance(
        perceptual if config.perceptual_weight else None,
        config.perceptual_weight,
        config.pixel_weight,
        config.max_side,
    )


def fit_pictures(images: Tensor, side: int) -> Tensor:
    """Return pictures, [n, 3, side, side], of square ones of another size.

    The filter is as wide as a pixel of the smaller picture, as in the projector's own
    code, whose filter is Lanczos'.
    """
    if images.shape[-2:] == (side, side):
        return images
    resized = functional.interpolate(
        images, size=(side, side), mode="bicubic", antialias=True
    )
    return resized.clamp(-1, 1)
