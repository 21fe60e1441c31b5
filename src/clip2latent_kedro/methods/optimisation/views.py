"""What the encoder sees of a picture at a step: all of it, or random squares.

A latent can raise CLIP's score by patterns that nobody sees. Squares of random place
and size, all brought to one size, leave such patterns less to fit.
"""

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig, Resize

Window = tuple[int, int, int]
"""Top, left and side of a square, in pixels."""


def input_size(encoder: Encoder, resolution: int) -> int:
    """Return the side of what an encoder reads; the picture's own if it does not tell.

    Args:
        encoder: Some have an `image_size`, [height, width].
        resolution: Of the pictures.
    """
    height_width = getattr(encoder, "image_size", None)
    return resolution if height_width is None else min(height_width)


def resize_image(image: Tensor, resize: Resize, size: int) -> Tensor:
    """Return pictures, [n, 3, h, w], as a method hands them to the encoder.

    The original codes leave out CLIP's normalisation of colours; here it is the
    encoder's own as everywhere, because it is what the result is scored with.

    Args:
        image: [n, 3, side, side] in [-1, 1].
        resize: `encoder`: as they are, the encoder resizes. `bilinear`: to its size.
            `styleclip`: each pixel 7 times, then the means of equal squares.
        size: Side that the encoder reads.

    Raises:
        InputError: If the squares of `styleclip` do not come out even.
    """
    if resize == "bilinear":
        return functional.interpolate(image, size=(size, size), mode="bilinear")
    if resize == "styleclip":
        side = 7 * image.shape[-1]
        if side % size:
            msg = (
                f"optimisation.resize: styleclip needs an encoder whose side divides "
                f"7 x {image.shape[-1]} pixels, got {size}. Use resize: encoder."
            )
            raise InputError(msg)
        large = functional.interpolate(image, scale_factor=7, mode="nearest")
        return functional.avg_pool2d(large, side // size)
    return image


def draw_windows(
    config: OptimisationConfig, resolution: int, random: torch.Generator
) -> list[Window]:
    """Return the squares of one step.

    Args:
        config: `num_cutouts`, `cutout_least` and `cutout_power`.
        resolution: Side of the picture.
        random: On the CPU.
    """
    windows = []
    for size, down, right in torch.rand(
        config.num_cutouts, 3, generator=random
    ).tolist():
        least = config.cutout_least
        share = least + (1 - least) * size**config.cutout_power
        side = max(1, round(share * resolution))
        free = resolution - side + 1
        windows.append((int(down * free), int(right * free), side))
    return windows


def cut_out(image: Tensor, windows: list[Window], size: int) -> Tensor:
    """Return squares of pictures, resized by area, [num_windows, n, 3, size, size].

    Args:
        image: [n, 3, h, w].
        windows: One or more, the same of each picture.
        size: Side of the result.
    """
    squares = [
        functional.interpolate(
            image[..., top : top + side, left : left + side],
            size=(size, size),
            mode="area",
        )
        for top, left, side in windows
    ]
    return torch.stack(squares)
