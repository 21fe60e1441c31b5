"""Pictures within a page: as small as one can look at them, and no larger together."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from clip2latent_kedro.study.cells import Picture

BUDGET = 3_000_000  # bytes of all pictures of a page together, but for its charts
# Tried in turn until they fit: the largest side, and up to which side they stay as
# they are, bit by bit.
SIZES = ((256, 128), (256, 0), (128, 0), (64, 0))
QUALITY = 85  # of WebP


@dataclass(frozen=True)
class Embedded:
    """A picture as an address that holds all of it.

    Attributes:
        url: Of the kind `data:`.
        width: In pixels.
        height: In pixels.
    """

    url: str
    width: int
    height: int


def embed_pictures(pictures: Sequence[Picture]) -> list[Embedded]:
    """Return pictures as addresses, in the same order.

    Charts are PNG at their size. Small pictures are PNG; those of a large generator are
    reduced, and all are compressed with loss where they would be too many.

    Args:
        pictures: All of a page.
    """
    found: list[Embedded] = []
    for side, exact in SIZES:
        found = [_embed(picture, side, exact) for picture in pictures]
        size = sum(
            len(one.url)
            for one, picture in zip(found, pictures, strict=True)
            if not picture.is_chart
        )
        if size <= BUDGET:
            break
    return found


def _embed(picture: Picture, side: int, exact: int) -> Embedded:
    image = Image.fromarray(picture.pixels)
    if not picture.is_chart:
        is_exact = max(image.size) <= exact
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        if not is_exact:
            return _write(image, "WEBP", quality=QUALITY, method=4)
    return _write(image, "PNG", optimize=picture.is_chart)


def _write(image: Image.Image, kind: str, **options: bool | int) -> Embedded:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    content = base64.b64encode(buffer.getvalue()).decode()
    return Embedded(f"data:image/{kind.lower()};base64,{content}", *image.size)
