"""How good the CLIPs of the faces are, and how much is read: what a card states."""

import random

import torch
from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.images import uint8_to_image
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.runtime import derive_seed, make_generator
from clip2latent_kedro.worlds.faces.attributes import ATTRIBUTES, UNCERTAIN
from clip2latent_kedro.worlds.faces.captions import can_lead, write_caption
from clip2latent_kedro.worlds.faces.readings import ReadFaces

_AT_ONCE = 256
_NUM_WORDINGS = 8  # of each value


@torch.inference_mode()
def measure_retrieval(
    encoder: Encoder,
    faces: ReadFaces,
    *,
    seed: int,
    num_pools: int = 8,
    pool_size: int = 256,
) -> dict[str, float]:
    """Return R@1 within pools of faces and captions that training has not seen.

    Captions state 3 to 5 attributes in a layout of their own. Several faces fit one
    caption, so 1 is far out of reach.

    Args:
        encoder: Whose `encode_image` and `encode_text` to measure.
        faces: Those kept from training.
        seed: Of the pools.
        num_pools: Number of pools to average over.
        pool_size: Pairs in each, or as many faces as there are.

    Returns:
        `text_to_image` and `image_to_text`, shares in [0, 1].
    """
    able = torch.tensor([can_lead(labels) for labels in faces.certain.tolist()])
    faces = faces.select(able)
    image = _embed(encoder, faces.images)
    hits = torch.zeros(2)
    for pool in range(num_pools):
        random_numbers = make_generator(seed, "face_pool", pool)
        rows = torch.randperm(len(faces), generator=random_numbers)[:pool_size]
        rng = random.Random(derive_seed(seed, "face_pool_captions", pool))
        captions = [
            write_caption(labels, rng, split="held_out")
            for labels in faces.certain[rows].tolist()
        ]
        text = encoder.encode_text([caption.text for caption in captions])
        cosine = F.normalize(text, dim=1).cpu() @ image[rows].T
        own = torch.arange(len(rows))
        hits[0] += (cosine.argmax(1) == own).float().mean()
        hits[1] += (cosine.argmax(0) == own).float().mean()
    text_to_image, image_to_text = (hits / num_pools).tolist()
    return {"text_to_image": text_to_image, "image_to_text": image_to_text}


@torch.inference_mode()
def measure_zero_shot(
    encoder: Encoder, faces: ReadFaces, *, seed: int
) -> dict[str, float]:
    """Return how often texts find what the reader is certain of, for each attribute.

    The value is that whose texts, in several wordings, are nearest on average. As
    values are not equally frequent, the share is the mean of those of the values.

    Args:
        encoder: See `measure_retrieval`.
        faces: Those kept from training.
        seed: Of the wordings.

    Returns:
        Shares in [0, 1] by attribute; one that no face certainly has is left out.
    """
    image = _embed(encoder, faces.images)
    shares = {}
    for column, (name, values) in enumerate(ATTRIBUTES.items()):
        rng = random.Random(derive_seed(seed, f"wordings_{name}"))
        texts = [
            write_caption(_only(column, value), rng, split="train").text
            for value in range(len(values))
            for _ in range(_NUM_WORDINGS)
        ]
        text = F.normalize(encoder.encode_text(texts), dim=1).cpu()
        means = text.view(len(values), _NUM_WORDINGS, -1).mean(1)
        nearest = (image @ F.normalize(means, dim=1).T).argmax(1)
        truth = faces.certain[:, column]
        found = [
            (nearest[truth == value] == value).float().mean().item()
            for value in range(len(values))
            if (truth == value).any()
        ]
        if found:
            shares[name] = sum(found) / len(found)
    return shares


def measure_readings(faces: ReadFaces) -> dict[str, dict[str, float]]:
    """Return the share of samples that certainly show each value, by attribute."""
    return {
        name: {
            value: (faces.certain[:, column] == index).float().mean().item()
            for index, value in enumerate(values)
        }
        for column, (name, values) in enumerate(ATTRIBUTES.items())
    }


def _only(column: int, value: int) -> list[int]:
    labels = [UNCERTAIN] * len(ATTRIBUTES)
    labels[column] = value
    return labels


def _embed(encoder: Encoder, images: Tensor) -> Tensor:
    """Return unit embeddings, [n, embed_dim], of uint8 [n, h, w, 3], on the CPU."""
    rows = [
        encoder.encode_image(uint8_to_image(part)).cpu()
        for part in torch.split(images, _AT_ONCE)
    ]
    return F.normalize(torch.cat(rows), dim=1)
