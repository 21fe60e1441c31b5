"""The prompts that methods are compared on, and portraits that fit each of them."""

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.runtime import derive_seed, make_generator
from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTE_NAMES,
    ATTRIBUTES,
    LAYOUT,
    Z_DIM,
    labels_of,
    sample_z,
    visible_mask,
)
from clip2latent_kedro.worlds.portraits.captions import Caption, held_out_prompts
from clip2latent_kedro.worlds.portraits.renderer import render_labels

_GENDER, _BEARD = (ATTRIBUTE_NAMES.index(name) for name in ("gender", "beard"))
_MAN = ATTRIBUTES["gender"].index("man")
_Z_AT_ONCE = 65_536
_UNSEEN = -2  # no label, nor what stands for an attribute left open


def bank_prompts(num: int, seed: int, *, excluded: Collection[str]) -> list[Caption]:
    """Return distinct captions as `held_out_prompts` does, but other ones.

    What is chosen with their help is not chosen with that of the evaluation.

    Args:
        num: How many.
        seed: Gives the same captions each time.
        excluded: Texts that are not among them.
    """
    enough = num + len(excluded)
    drawn = held_out_prompts(enough, derive_seed(seed, "prompt_bank"))
    taken = set(excluded)
    return [caption for caption in drawn if caption.text not in taken][:num]


def render_references(
    captions: list[Caption], num: int, seed: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return what ideal answers look like, uint8 [num_captions, num, 64, 64, 3].

    Each shows what its caption states; whatever is not stated is drawn at random.

    Args:
        captions: The prompts.
        num: Pictures for each.
        seed: Decides what is not stated.
    """
    rows = [
        _fill_in(torch.tensor(caption.labels), num, make_generator(seed, "ref", index))
        for index, caption in enumerate(captions)
    ]
    pictures = torch.stack([render_labels(*row) for row in rows])
    return image_to_uint8(pictures)


def sample_reference_z(
    captions: list[Caption], num: int, seed: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return z of portraits that fit each caption, [num_captions, num, Z_DIM].

    Standard normal z, given that what the caption states is true of it and in sight:
    the first ones of a common stream that are.

    Args:
        captions: The prompts, of which some portrait is true each.
        num: How many for each.
        seed: Seed of the stream.
    """
    stated = [torch.tensor(caption.labels) for caption in captions]
    found = [torch.empty(0, Z_DIM) for _ in captions]
    generator = make_generator(seed, "reference_z")
    while any(len(rows) < num for rows in found):
        z = sample_z(_Z_AT_ONCE, generator)
        labels = labels_of(z)
        seen = torch.where(visible_mask(labels), labels, _UNSEEN).to(torch.int8).T
        for index, wanted in enumerate(stated):
            if len(found[index]) < num:
                said = wanted >= 0
                fits = (seen[said] == wanted[said, None]).all(0)
                found[index] = torch.cat([found[index], z[fits]])[:num]
    return torch.stack(found).numpy()


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
