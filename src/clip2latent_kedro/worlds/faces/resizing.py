"""Pictures at the size that a network reads."""

from torch import Tensor
from torch.nn import functional


def resize(image: Tensor, side: int) -> Tensor:
    """Return pictures, [n, c, side, side], of [n, c, h, w].

    Larger ones are averaged over areas; where one is smaller, it is interpolated.
    """
    if image.shape[-2:] == (side, side):
        return image
    if min(image.shape[-2:]) >= side:
        return functional.adaptive_avg_pool2d(image, side)
    return functional.interpolate(
        image, (side, side), mode="bilinear", align_corners=False
    )
