"""Single steps of the service, on models and latents alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.conditioning import Query, embed_queries
from clip2latent_kedro.demo.limits import Limits
from clip2latent_kedro.demo.prompts import parse_prompt
from clip2latent_kedro.demo.sessions import Drawing
from clip2latent_kedro.editing.prepared import PreparedEdit
from clip2latent_kedro.images import uint8_to_image
from clip2latent_kedro.latents import Latents, Source
from clip2latent_kedro.text_to_image import TextToImage

MOST_DIGITS = 10  # of a seed that is mixed in


def as_query(parts: Sequence[tuple[str | Tensor, float]]) -> Query:
    """Return a text alone as it is, so that it is drawn as anywhere else."""
    if len(parts) == 1 and parts[0][1] == 1:
        return parts[0][0]
    return list(parts)


def source_of(source: Source, row: int) -> Source:
    """Return one picture of several."""

    def pick(rows: Tensor | None) -> Tensor | None:
        return None if rows is None else rows[row : row + 1]

    latents = Latents(
        source.latents.w[row : row + 1], pick(source.latents.style_offset)
    )
    return Source(latents, pick(source.condition), pick(source.x_T))


def read_mix(text: str, limits: Limits) -> int | Query:
    """Return what is mixed in: a seed of digits, or a prompt.

    Raises:
        InputError: If the prompt cannot be used.
    """
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS:
        return int(text)
    return as_query(parse_prompt(text, limits, "What is mixed in"))


@torch.no_grad()
def edit_picture(
    model: TextToImage, drawing: Drawing, row: int, prepared: PreparedEdit
) -> tuple[np.ndarray, float | None]:
    """Return the edited picture, uint8 [h, w, 3], and its score.

    Args:
        model: Generator, encoder and prior.
        drawing: What the picture is of.
        row: Of its latents.
        prepared: What is changed.
    """
    latents = prepared(source_of(drawing.source, row))
    direction = drawing.direction
    if direction is not None:
        toward = prepared.toward(model.encoder)
        if toward is not None:
            moved = direction + toward.to(direction)
            direction = functional.normalize(moved, dim=-1)
    offset = latents.style_offset
    found = model.generate_images(
        latents.w[None],
        None if direction is None else direction[None],
        style_offset=None if offset is None else offset[None],
    )
    score = None if found.scores is None else float(found.scores[0, 0])
    return found.images[0, 0], score


@torch.no_grad()
def show_inverted(
    model: TextToImage,
    latents: Latents,
    original: np.ndarray,
    record: Mapping[str, Any],
    number: int,
) -> Drawing:
    """Return what the generator draws of a picture, scored by the picture itself.

    Args:
        model: Generator and encoder.
        latents: Found so far, of one picture.
        original: The picture, uint8 [side, side, 3].
        record: What the drawing depends on.
        number: Of the drawing.
    """
    image = uint8_to_image(torch.from_numpy(original))
    direction = embed_queries(model.encoder, [image], model.device).direction
    offset = latents.style_offset
    found = model.generate_images(
        latents.w[None],
        direction,
        style_offset=None if offset is None else offset[None],
    )
    assert found.scores is not None
    return Drawing(
        number,
        Source(latents),
        direction[0],
        list(found.images[0]),
        [0],
        [float(found.scores[0, 0])],
        record,
        original,
    )
