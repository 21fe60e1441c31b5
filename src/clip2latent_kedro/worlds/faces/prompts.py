"""The prompts that methods are compared on, captions of faces kept from training."""

import random
from collections.abc import Collection

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.runtime import derive_seed, make_generator
from clip2latent_kedro.worlds.faces.captions import Caption, can_lead, write_caption
from clip2latent_kedro.worlds.faces.readings import ReadFaces

_LEAST_FITTING = 4  # faces that show, certainly, all that a prompt states


def draw_prompts(
    faces: ReadFaces, num: int, seed: int, *, excluded: Collection[str] = ()
) -> list[Caption]:
    """Return distinct captions of faces that no training has seen, one of each.

    What they ask for can be met: in a few faces of all, the reader is certain of
    everything that a caption states.

    Args:
        faces: All that was read.
        num: How many.
        seed: Gives the same captions each time.
        excluded: Texts that are not among them.

    Raises:
        InputError: If there are not as many.
    """
    prompts: dict[str, Caption] = {}
    kept = faces.split(held_out=True).certain
    order = torch.randperm(len(kept), generator=make_generator(seed, "face_prompts"))
    rng = random.Random(derive_seed(seed, "face_captions"))
    for labels in kept[order].tolist():
        if len(prompts) == num:
            break
        if not can_lead(labels):
            continue
        caption = write_caption(labels, rng, split="held_out")
        fits = shows(faces.certain, caption).sum() >= _LEAST_FITTING
        if fits and caption.text not in excluded:
            prompts.setdefault(caption.text, caption)
    if len(prompts) < num:
        msg = (
            f"faces.num_prompts and num_bank_prompts ask for {num} captions of faces "
            f"kept from training, got {len(prompts)}. Raise faces.readings.num_shards."
        )
        raise InputError(msg)
    return list(prompts.values())


def shows(labels: Tensor, caption: Caption) -> Tensor:
    """Return which faces have all values that a caption states, [n] bool.

    Args:
        labels: [n, num_attributes].
        caption: What is asked for.
    """
    asked = torch.tensor(caption.labels)
    return ((labels == asked) | (asked < 0)).all(1)
