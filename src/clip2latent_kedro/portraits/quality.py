"""How good the domain's models are: what a model card states."""

import random
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.portraits.attributes import (
    ATTRIBUTES,
    labels_of,
    sample_z,
    visible_mask,
)
from clip2latent_kedro.portraits.captions import sample_split, write_captions
from clip2latent_kedro.portraits.renderer import render
from clip2latent_kedro.runtime import derive_seed, make_generator

_AT_ONCE = 128


@torch.inference_mode()
def measure_judge(judge: Judge, *, seed: int, num: int) -> dict[str, float]:
    """Return the judge's accuracy on fresh renders for each attribute in sight.

    Args:
        judge: On the CPU.
        seed: Seed of the renders.
        num: How many.
    """
    z = sample_z(num, make_generator(seed, "held_out_renders"))
    predicted = [judge.classify(render(rows)) for rows in torch.split(z, _AT_ONCE)]
    return accuracy_by_attribute(torch.cat(predicted), labels_of(z))


@torch.inference_mode()
def measure_generator(
    generator: Generator, judge: Judge, *, seed: int, num: int
) -> tuple[dict[str, float], float]:
    """Return how well G(z) shows what z stands for, and its PSNR in dB.

    The accuracy is the judge's, for each attribute in sight, on the pictures of the
    same z whose renders `measure_judge` reads. PSNR is against those renders, over
    all pixels of all pictures, for the full range of 2.
    """
    z = sample_z(num, make_generator(seed, "held_out_renders"))
    predicted, squares = [], []
    for rows in torch.split(z, _AT_ONCE):
        image = generator.synthesis(generator.mapping(rows)).clamp(-1, 1)
        predicted.append(judge.classify(image))
        squares.append((image - render(rows)).square().mean((1, 2, 3)))
    return accuracy_by_attribute(torch.cat(predicted), labels_of(z)), _psnr(squares)


@torch.inference_mode()
def measure_reconstruction(
    reconstruct: Callable[[Tensor], Tensor], judge: Judge, *, seed: int, num: int
) -> tuple[dict[str, float], float]:
    """Return how well renders survive an autoencoder.

    Args:
        reconstruct: Pictures, [n, 3, h, w], to the same again.
        judge: On the CPU.
        seed: Of the renders, the same as those of `measure_judge`.
        num: How many.

    Returns:
        As `measure_generator`.
    """
    z = sample_z(num, make_generator(seed, "held_out_renders"))
    predicted, squares = [], []
    for rows in torch.split(z, _AT_ONCE):
        image = render(rows)
        again = reconstruct(image).clamp(-1, 1)
        predicted.append(judge.classify(again))
        squares.append((again - image).square().mean((1, 2, 3)))
    return accuracy_by_attribute(torch.cat(predicted), labels_of(z)), _psnr(squares)


@torch.inference_mode()
def compare_pictures(generator: Generator, *, seed: int, num: int) -> Tensor:
    """Return renders above what the generator makes of the same z.

    Returns:
        [2, num, 3, h, w] in [-1, 1].
    """
    z = sample_z(num, make_generator(seed, "pictures"))
    made = generator.synthesis(generator.mapping(z)).clamp(-1, 1)
    return torch.stack([render(z), made])


def accuracy_by_attribute(predicted: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the share of right values for each attribute, over those in sight.

    Args:
        predicted: [n, num_attributes] value indices.
        labels: The true value indices, [n, num_attributes].
    """
    visible = visible_mask(labels)
    right = ((predicted == labels) & visible).sum(0) / visible.sum(0)
    return dict(zip(ATTRIBUTES, right.tolist(), strict=True))


def _psnr(squares: list[Tensor]) -> float:
    """Return decibels for the full range of 2, of mean squares of batches."""
    return float(10 * torch.log10(4 / torch.cat(squares).mean()))


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
