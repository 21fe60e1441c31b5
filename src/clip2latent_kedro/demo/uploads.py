"""Files that visitors bring: bounded, checked, and read by one of few readers."""

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from clip2latent_kedro.demo.limits import Limits
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import read_picture
from clip2latent_kedro.inference.png_settings import read_png_settings

FORMATS = ("PNG", "JPEG", "WEBP")
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Upload:
    """A picture that was brought.

    Attributes:
        picture: Its middle square, uint8 [side, side, 3].
        digest: SHA-256 (hex) of the file.
        settings: Those of the PNG, if it was stored here; None for none.
    """

    picture: np.ndarray
    digest: str
    settings: dict[str, Any] | None


def read_upload(content: bytes, limits: Limits, *, most_side: int) -> Upload:
    """Return the picture of a file.

    Its kind is told by its content, whatever it is called; size and kind are looked at
    before any pixel is decoded.

    Args:
        content: The file.
        limits: Its bytes and pixels.
        most_side: A larger square is made this small.

    Raises:
        InputError: If it is too large, of another kind or damaged.
    """
    mebibytes = limits.upload_bytes / 2**20
    if len(content) > limits.upload_bytes:
        msg = (
            f"A picture must be at most {mebibytes:g} MiB, got "
            f"{len(content) / 2**20:.1f} MiB. Make it smaller."
        )
        raise InputError(msg)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
                width, height = opened.size
                if width * height > limits.upload_pixels:
                    msg = (
                        f"A picture must have at most {limits.upload_pixels:,} pixels, "
                        f"got {width} x {height}. Make it smaller."
                    )
                    raise InputError(msg)
                if min(width, height) < 8:
                    msg = (
                        f"A picture must be at least 8 pixels a side, got {width} x "
                        f"{height}. Choose a larger one."
                    )
                    raise InputError(msg)
                picture = read_picture(opened)
    except InputError:
        raise
    except (Exception, Image.DecompressionBombWarning) as error:
        # Readers of pictures fail in many ways where a file is damaged on purpose.
        msg = (
            f"The file must be a picture ({', '.join(FORMATS)}), but cannot be read. "
            f"Choose another."
        )
        raise InputError(msg) from error
    if len(picture) > most_side:
        smaller = Image.fromarray(picture).resize(
            (most_side, most_side), Image.Resampling.LANCZOS
        )
        picture = np.array(smaller)
    digest = hashlib.sha256(content).hexdigest()
    return Upload(picture, digest, _settings_of(content))


def _settings_of(content: bytes) -> dict[str, Any] | None:
    """Return the settings in a file; None of a picture from elsewhere."""
    try:
        return read_png_settings(content)
    except InputError:
        return None
