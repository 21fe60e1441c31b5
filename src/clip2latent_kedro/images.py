"""The two forms of a picture: float in [-1, 1] for torch, uint8 to keep and show."""

import numpy as np
import torch
from torch import Tensor


def image_to_uint8(image: Tensor) -> np.ndarray:
    """Return uint8 [..., h, w, 3] of images [..., 3, h, w] in [-1, 1].

    What lies outside is clipped.
    """
    image_u8: np.ndarray = quantise(image).cpu().numpy()
    return image_u8


def quantise(image: Tensor) -> Tensor:
    """Return what `image_to_uint8` does, as a tensor where the image is."""
    levels = (image.float().clamp(-1, 1) + 1) * 127.5
    return levels.round().to(torch.uint8).movedim(-3, -1).contiguous()


def uint8_to_image(image_u8: Tensor) -> Tensor:
    """Return images [..., 3, h, w] in [-1, 1] of uint8 [..., h, w, 3]."""
    return image_u8.movedim(-1, -3).float() / 127.5 - 1
