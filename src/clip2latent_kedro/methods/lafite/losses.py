"""What LAFITE's two networks learn from, each term by itself.

Sources: Zhou et al. 2021, Equations 4 to 8; drboog/Lafite, training/loss.py. The
published code differs from the paper in two places, which its settings were tuned
with (`form`): `released` is the code, `corrected` the paper.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Form = Literal["released", "corrected"]


def contrastive_loss(
    image: Tensor, text: Tensor, *, temperature: float, lam: float, form: Form
) -> Tensor:
    """Return how badly images and texts of a batch find each other, a scalar.

    With c_ij = cos(image_i, text_j) / temperature,

        -mean_i (lam log softmax_j(c_ij) + (1 - lam) log softmax_i(c_ij)) at j = i

    The released code takes exp(c_ij) for c_ij; its factor on the softmax, which the
    logarithm makes a constant, is left out.

    Args:
        image: Features of images, [n, d], of any length.
        text: Of their texts, [n, d], likewise.
        temperature: Above 0.
        lam: Weight of images that look for their text, in [0, 1]; the rest is that
            of texts that look for their image.
        form: Whether the cosines are exponentiated first.
    """
    logits = F.normalize(image, dim=1) @ F.normalize(text, dim=1).T / temperature
    if form == "released":
        logits = logits.exp()
    of_images = logits.log_softmax(dim=1).diagonal().mean()
    of_texts = logits.log_softmax(dim=0).diagonal().mean()
    return -(lam * of_images + (1 - lam) * of_texts)


def conditional_logits(
    logits: Tensor, features: Tensor, text: Tensor, form: Form
) -> Tensor:
    """Return how real images are as pictures of their texts, [n].

    The discriminator's logit plus the product of its features with the text. The
    released code adds the sum of all products of the batch to each logit.

    Args:
        logits: Of the images alone, [n].
        features: [n, d].
        text: [n, d], unit length.
        form: `corrected` as in the paper, or `released` as in the published code.
    """
    products = (features * text).sum(dim=1)
    return logits + (products.sum() if form == "released" else products)


def gradient_penalty(logits: Tensor, image: Tensor) -> Tensor:
    """Return R1, the mean squared gradient by real images (Mescheder et al. 2018).

    Args:
        logits: [n], of the images.
        image: [n, c, h, w], requiring gradients.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()
