"""How good the domain's models are: what a model card states."""

import random
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.runtime import derive_seed, make_generator
from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTES,
    labels_of,
    sample_z,
    visible_mask,
)
from clip2latent_kedro.worlds.portraits.captions import sample_split, write_captions
from clip2latent_kedro.worlds.portraits.renderer import render

_AT_ONCE = 128


@torch.inference_mode()
def measure_pictures(
    make: Callable[[Tensor, Tensor], Tensor], judge: Judge, *, seed: int, num: int
) -> tuple[dict[str, float], float]:
    """Return how well pictures show what z stands for, and their PSNR in dB.

    PSNR is against the renders of the same z, over all pixels of all pictures, for the
    full range of 2.

    Args:
        make: (z, [n, Z_DIM]; its renders, [n, 3, h, w]) -> pictures of the same size.
        judge: On the CPU.
        seed: Of z, which no training draws.
        num: How many.

    Returns:
        The judge's accuracy for each attribute in sight, and their `mean`; and PSNR.
    """
    z = sample_z(num, make_generator(seed, "held_out_renders"))
    predicted, squares = [], []
    for rows in torch.split(z, _AT_ONCE):
        image = render(rows)
        made = make(rows, image).clamp(-1, 1)
        predicted.append(judge.classify(made))
        squares.append((made - image).square().mean((1, 2, 3)))
    accuracy = accuracy_by_attribute(torch.cat(predicted), labels_of(z))
    accuracy["mean"] = float(np.mean(list(accuracy.values())))
    return accuracy, float(10 * torch.log10(4 / torch.cat(squares).mean()))


@torch.inference_mode()
def draw_comparison(
    generator: Generator, seed: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return a picture of 48 renders, each above what the generator makes of it.

    Returns:
        uint8 [8 * h, 12 * w, 3].
    """
    z = sample_z(48, make_generator(seed, "pictures"))
    made = generator.synthesis(generator.mapping(z)).clamp(-1, 1)
    size = made.shape[2]
    tiles = torch.stack([render(z), made]).view(2, 4, 12, 3, size, size)
    picture = tiles.permute(3, 1, 0, 4, 2, 5).reshape(3, 8 * size, 12 * size)
    return image_to_uint8(picture)


def accuracy_by_attribute(predicted: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the share of right values for each attribute, over those in sight.

    Args:
        predicted: [n, num_attributes] value indices.
        labels: The true value indices, [n, num_attributes].
    """
    visible = visible_mask(labels)
    right = ((predicted == labels) & visible).sum(0) / visible.sum(0)
    return dict(zip(ATTRIBUTES, right.tolist(), strict=True))


@torch.inference_mode()
def measure_retrieval(
    encoder: Encoder, *, seed: int, num_pools: int = 8, pool_size: int = 256
) -> dict[str, float]:
    """Return R@1 within pools of held-out renders and captions.

    Captions state 4 to 7 attributes in layouts, and pictures have combinations, that
    training never sees. Several pictures may fit one caption, so 1 is out of reach.

    Args:
        encoder: Whose `encode_image` and `encode_text` to measure.
        seed: Seed of the pools.
        num_pools: Number of pools to average over.
        pool_size: Pairs in each.

    Returns:
        `text_to_image` and `image_to_text`, shares in [0, 1].
    """
    hits = torch.zeros(2)
    for pool in range(num_pools):
        z = sample_split(
            pool_size, make_generator(seed, "pool", pool), split="held_out"
        )
        rng = random.Random(derive_seed(seed, "pool_captions", pool))
        captions = write_captions(labels_of(z), rng, split="held_out")
        image = F.normalize(encoder.encode_image(render(z)), dim=1).cpu()
        texts = [caption.text for caption in captions]
        text = F.normalize(encoder.encode_text(texts), dim=1).cpu()
        cosine = text @ image.T
        own = torch.arange(pool_size)
        hits[0] += (cosine.argmax(1) == own).float().mean()
        hits[1] += (cosine.argmax(0) == own).float().mean()
    text_to_image, image_to_text = (hits / num_pools).tolist()
    return {"text_to_image": text_to_image, "image_to_text": image_to_text}
