"""The two forms of a picture, and the one reader of pictures that people bring.

The forms are float in [-1, 1] for torch, and uint8 to keep and show.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import check_is_file

PICTURE_ENDINGS = (
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
)

# What Pillow raises for files that are damaged, too large, closed or no pictures.
_UNREADABLE = (
    AssertionError,
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)


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


def is_picture(text: str) -> bool:
    """Return whether a text is the path of a picture, by its ending."""
    return text.lower().endswith(PICTURE_ENDINGS)


def read_image(picture: Any) -> Tensor:
    """Return the middle square of a picture, [3, side, side] in [-1, 1].

    Args:
        picture: A path or a PIL image (see `read_picture`); an array or tensor, uint8
            [h, w, 3] or [3, h, w], or floats [3, h, w] in [-1, 1].

    Raises:
        InputError: If it is none of these, or cannot be read.
    """
    if not isinstance(picture, np.ndarray | Tensor):
        return uint8_to_image(torch.from_numpy(read_picture(picture)))
    image = _as_tensor(picture)
    least, most = image.min().item(), image.max().item()
    if not -1.001 <= least <= most <= 1.001:
        msg = (
            f"An image of floats must be in [-1, 1], got {least:g} to {most:g}. Scale "
            f"or clamp it."
        )
        raise InputError(msg)
    side = min(image.shape[1:])
    top, left = ((length - side) // 2 for length in image.shape[1:])
    return image[:, top : top + side, left : left + side].clamp(-1, 1)


def read_picture(
    picture: str | Path | Image.Image, side: int | None = None
) -> np.ndarray:
    """Return the middle square of a picture, uint8 [side, side, 3].

    It is turned as its EXIF orientation says; of several frames the first counts; what
    is transparent lies on white. Colours of 16 bits are brought to 8.

    Args:
        picture: A path, or a PIL image of any mode. White is 65535 in one of 16 bits.
            Wider modes (I and F) do not say what is white: it is the least of 1 (of
            floats), 255 and 65535 that no value exceeds.
        side: To resize it to; None keeps it.

    Raises:
        InputError: If it is no picture or cannot be read.
    """
    if not isinstance(picture, str | Path | Image.Image):
        msg = (
            f"A picture must be a path, a PIL image, an array or a tensor, got "
            f"{type(picture).__name__}."
        )
        raise InputError(msg)
    name = "The PIL image" if isinstance(picture, Image.Image) else str(picture)
    try:
        if isinstance(picture, Image.Image):
            rgb = _to_rgb(ImageOps.exif_transpose(picture))
        else:
            check_is_file(Path(picture))
            with Image.open(picture) as opened:
                rgb = _to_rgb(ImageOps.exif_transpose(opened))
    except _UNREADABLE as error:
        reason = str(error) or "its file is closed or damaged"
        msg = (
            f"{name} must be a picture, but cannot be read ({reason}). Correct its "
            f"path or replace it."
        )
        raise InputError(msg) from error
    shortest = min(rgb.size)
    left, top = ((length - shortest) // 2 for length in rgb.size)
    square = rgb.crop((left, top, left + shortest, top + shortest))
    if side is not None:
        square = square.resize((side, side), Image.Resampling.BICUBIC)
    return np.array(square)


def _as_tensor(picture: Any) -> Tensor:
    """Return floats [3, h, w] of an array or tensor."""
    is_array = isinstance(picture, np.ndarray)
    is_u8 = picture.dtype in (np.uint8, torch.uint8)
    is_float = picture.dtype.kind == "f" if is_array else picture.is_floating_point()
    if not (is_float or is_u8):
        msg = (
            f"An image must be uint8, or floats in [-1, 1], got {picture.dtype}. Scale "
            f"it, or hand over a PIL image."
        )
        raise InputError(msg)
    shape = list(picture.shape)
    is_last = is_u8 and len(shape) == 3 and shape[2] == 3
    if len(shape) != 3 or 0 in shape or not (is_last or shape[0] == 3):
        msg = (
            f"An image must have shape [3, h, w], or [h, w, 3] in uint8, got {shape}. "
            f"Turn it so, or hand over a PIL image."
        )
        raise InputError(msg)
    if is_array:  # copied, since torch knows no other byte orders or negative strides
        picture = torch.from_numpy(picture.astype("u1" if is_u8 else "f4", order="C"))
    image: Tensor = picture.detach()
    if is_u8:
        return uint8_to_image(image if is_last else image.movedim(0, 2))
    return image.float()


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return an image of any mode in RGB."""
    if 0 in image.size:
        msg = "it has no pixels"
        raise ValueError(msg)
    if image.mode.startswith(("I", "F")):
        levels = _to_levels(np.asarray(image), is_16_bits=image.mode.startswith("I;16"))
        image = Image.fromarray(levels)
    if image.mode in ("La", "RGBa"):  # colours multiplied by opacity
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    if "A" in image.getbands() or "transparency" in image.info:
        opaque = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, opaque)
    return image.convert("RGB")


def _to_levels(values: np.ndarray, *, is_16_bits: bool) -> np.ndarray:
    """Return uint8 of values whose white is to be found (see `read_picture`)."""
    whites = [65535.0] if is_16_bits else [255.0, 65535.0]
    if values.dtype.kind == "f":
        whites = [1.0, *whites]
    least, most = values.min(), values.max()
    white = next((white for white in whites if most <= white), None)
    if not least >= 0 or white is None:
        msg = f"its values must be from 0 to 65535, got {least:g} to {most:g}"
        raise ValueError(msg)
    levels: np.ndarray = np.rint(values * (255 / white)).astype(np.uint8)
    return levels
