"""The mean square difference of pixels, behind the `PerceptualLoss` protocol."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity


class PixelLoss:
    """The pixels themselves, divided by the root of their number."""

    identity = Identity("pixels", "")

    def features(self, image: Tensor) -> Tensor:
        """Return features, [n, 3 h w], of images [n, 3, h, w] in [-1, 1]."""
        pixels = image.flatten(1)
        features: Tensor = pixels / pixels.shape[1] ** 0.5
        return features

    def to(self, device: str) -> "PixelLoss":
        """Return self: it has no weights."""
        return self


def load_pixels(path: Path | None, options: Mapping[str, Any]) -> PixelLoss:
    """Return the loss, which takes neither a file nor options.

    Raises:
        InputError: If there is one.
    """
    if path is not None or options:
        given = path if path is not None else sorted(options)
        msg = f"The loss pixels takes no file and no options, got {given}. Remove them."
        raise InputError(msg)
    return PixelLoss()
