"""A block of StyleGAN2 drawn in pieces that stay in a processor's cache.

At high resolutions a CPU spends more time on moving feature maps than on arithmetic.
So a block draws a few samples at a time there and, where even one is too large, strips
of its rows. A strip is read with a margin: what the padding at its cut edges spoils
lies within the margin and is dropped.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from clip2latent_kedro.interfaces import NoiseMode

if TYPE_CHECKING:
    from clip2latent_kedro.generators.stylegan2 import SynthesisBlock

MAX_ELEMENTS = 2**21  # of a feature map: 8 MiB in single precision

Drawn = tuple[Tensor, Tensor | None]


def draw_in_pieces(
    block: "SynthesisBlock",
    x: Tensor | None,
    image: Tensor | None,
    w: Tensor,
    noise_mode: NoiseMode,
) -> Drawn:
    """Return what the block returns (see `SynthesisBlock.forward`).

    Pieces are for CPUs, and for calls without gradients, which would keep all of them
    anyway. Random noise is not cut into strips, which would not agree on it where
    their margins overlap.
    """
    is_whole = x is None or x.device.type != "cpu" or torch.is_grad_enabled()
    if is_whole or torch.compiler.is_compiling():
        whole: Drawn = block(x, image, w, noise_mode)
        return whole
    assert x is not None
    num_elements = block.num_elements  # of one sample's feature map
    batch = max(1, MAX_ELEMENTS // num_elements)
    pieces = []
    for first in range(0, len(x), batch):
        part = slice(first, first + batch)
        of_image = None if image is None else image[part]
        if num_elements > MAX_ELEMENTS and noise_mode != "random":
            pieces.append(
                _draw_in_strips(block, x[part], of_image, w[part], noise_mode)
            )
        else:
            pieces.append(block(x[part], of_image, w[part], noise_mode))
    return pieces[0] if len(pieces) == 1 else _join(pieces, dim=0)


def _draw_in_strips(
    block: "SynthesisBlock",
    x: Tensor,
    image: Tensor | None,
    w: Tensor,
    noise_mode: NoiseMode,
) -> Drawn:
    height, margin = x.shape[2], block.margin
    step = max(4 * margin, height * MAX_ELEMENTS // block.num_elements)
    strips = []
    for first in range(0, height, step):
        last = min(first + step, height)
        start, stop = max(first - margin, 0), min(last + margin, height)
        features, colours = block(
            x[:, :, start:stop],
            None if image is None else image[:, :, start:stop],
            w,
            noise_mode,
            slice(2 * start, 2 * stop),
        )
        kept = slice(2 * (first - start), 2 * (last - start))
        colours = None if colours is None else colours[:, :, kept]
        strips.append((features[:, :, kept], colours))
    return _join(strips, dim=2)


def _join(pieces: list[Drawn], dim: int) -> Drawn:
    colours = [image for _, image in pieces if image is not None]
    features = torch.cat([x for x, _ in pieces], dim)
    return features, torch.cat(colours, dim) if colours else None
