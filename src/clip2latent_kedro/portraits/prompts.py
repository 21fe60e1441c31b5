"""The prompts that methods are compared on, and renders that fit each of them."""

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.portraits.attributes import (
    ATTRIBUTE_NAMES,
    ATTRIBUTES,
    LAYOUT,
    labels_of,
    sample_z,
    visible_mask,
)
from clip2latent_kedro.portraits.captions import Caption
from clip2latent_kedro.portraits.renderer import render_labels
from clip2latent_kedro.runtime import make_generator

_GENDER, _BEARD = (ATTRIBUTE_NAMES.index(name) for name in ("gender", "beard"))
_MAN = ATTRIBUTES["gender"].index("man")


def render_references(
    captions: list[Caption], num: int, seed: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return what ideal answers look like, uint8 [num_captions, num, 64, 64, 3].

    Each shows what its caption states; whatever is not stated is drawn at random.

    Args:
        captions: The prompts.
        num: Pictures for each.
        seed: Of what is not stated.
    """
    rows = [
        _fill_in(torch.tensor(caption.labels), num, make_generator(seed, "ref", index))
        for index, caption in enumerate(captions)
    ]
    pictures = torch.stack([render_labels(*row) for row in rows])
    return image_to_uint8(pictures)


def _fill_in(
    stated: Tensor, num: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return labels [num, num_attributes] that show what is stated, and layouts."""
    found: list[Tensor] = []
    is_stated = stated >= 0
    while sum(len(rows) for rows in found) < num:
        labels = labels_of(sample_z(256, generator))
        labels = torch.where(is_stated, stated, labels)
        # A woman has no beard, and what is stated must be in sight.
        possible = (labels[:, _GENDER] == _MAN) | (labels[:, _BEARD] == 0)
        in_sight = (visible_mask(labels) | ~is_stated).all(1)
        found.append(labels[possible & in_sight])
    layout = torch.randn(num, len(LAYOUT), generator=generator)
    return torch.cat(found)[:num], layout
