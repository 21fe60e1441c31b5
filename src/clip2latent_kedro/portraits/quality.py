"""How good the domain's models are: what a model card states."""

import torch
from torch import Tensor

from clip2latent_kedro.interfaces import Generator, Judge
from clip2latent_kedro.portraits.attributes import (
    ATTRIBUTES,
    labels_of,
    sample_z,
    visible_mask,
)
from clip2latent_kedro.portraits.renderer import render
from clip2latent_kedro.runtime import make_generator

_AT_ONCE = 128


@torch.inference_mode()
def measure_judge(judge: Judge, *, seed: int, num: int) -> dict[str, float]:
    """Return the judge's accuracy on fresh renders for each attribute in sight.

    Args:
        judge: On the CPU.
        seed: Of the renders.
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
    psnr = 10 * torch.log10(4 / torch.cat(squares).mean())
    return accuracy_by_attribute(torch.cat(predicted), labels_of(z)), psnr.item()


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
        labels: The same, true.
    """
    visible = visible_mask(labels)
    right = ((predicted == labels) & visible).sum(0) / visible.sum(0)
    return dict(zip(ATTRIBUTES, right.tolist(), strict=True))
