"""What a search minimises: how far views of a picture are from a text.

The encoder sees all of the picture at a step, or random squares. A latent can raise
CLIP's score by patterns that nobody sees. Squares of random place and size, all brought
to one size, leave such patterns less to fit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, NoiseMode
from clip2latent_kedro.methods.optimisation.config import (
    Loss,
    OptimisationConfig,
    Resize,
)
from clip2latent_kedro.runtime import make_generator

LEAST_COSINE = 0.2  # of 1 / cosine; continued as a straight line below
Window = tuple[int, int, int]
"""Top, left and side of a square, in pixels."""


class Synthesis(Protocol):
    """What a search needs of a generator."""

    @property
    def num_ws(self) -> int:
        """Rows of w."""

    @property
    def resolution(self) -> int:
        """Pixels a side of the pictures."""

    def synthesis(self, w: Tensor, *, noise_mode: NoiseMode = "const") -> Tensor:
        """Return images, [n, 3, resolution, resolution] in [-1, 1], of w."""
        ...


@dataclass(frozen=True)
class Keep:
    """What of the picture at the start is to stay, and how much that counts.

    Attributes:
        encoder: Image -> features that are to stay, such as those that tell who it is.
        weight: Of 1 - cosine of the features, now and at the start.
    """

    encoder: Encoder
    weight: float


@dataclass(frozen=True)
class SearchObjective:
    """What is minimised, for texts that are embedded.

    Attributes:
        generator: w -> image.
        encoder: Image -> embedding.
        config: The settings of the search, which name the loss and the cutouts.
        seed: Decides the cutouts of each step, which all samples share.
        keep: What is to stay; None for nothing.
    """

    generator: Synthesis
    encoder: Encoder
    config: OptimisationConfig
    seed: int
    keep: Keep | None = None

    @torch.no_grad()
    def features(self, w: Tensor) -> Tensor | None:
        """Return the features that are to stay, [n, num_features]; None for none."""
        if self.keep is None:
            return None
        return self.keep.encoder.encode_image(self.synthesise(w)).float()

    def loss(
        self, w: Tensor, target: Tensor, step: int, features: Tensor | None = None
    ) -> Tensor:
        """Return the loss at a step (from 1), [n], without what w itself costs.

        Args:
            w: [n, num_ws, w_dim].
            target: Embeddings of the texts, [n, clip_dim].
            step: Decides the cutouts.
            features: What `features` returned of the start.

        Raises:
            InputError: If no gradient comes through the models.
        """
        config, resolution = self.config, self.generator.resolution
        if config.checkpoint_synthesis:
            image = checkpoint(self.synthesise, w, use_reentrant=False)
        else:
            image = self.synthesise(w)
        size = input_size(self.encoder, resolution)
        if config.num_cutouts:
            random = make_generator(self.seed, "cutouts", step)
            views = cut_out(image, random_windows(config, resolution, random), size)
        else:
            views = resize_image(image, config.resize, size)[None]
        embedding = self.encoder.encode_image(views.flatten(0, 1)).float()
        if not embedding.requires_grad:
            msg = (
                "Optimising latents needs gradients of generator.synthesis and "
                "encoder.encode_image, got none. Run both without torch.no_grad inside."
            )
            raise InputError(msg)
        loss = text_loss(config.loss, embedding.view(*views.shape[:2], -1), target)
        if self.keep is None or features is None:
            return loss
        now = self.keep.encoder.encode_image(image).float()
        changed = 1 - functional.cosine_similarity(now, features)
        return loss + self.keep.weight * changed

    def synthesise(self, w: Tensor) -> Tensor:
        """Return images of w."""
        return self.generator.synthesis(w, noise_mode="const")


def inverse_cosine(image: Tensor, text: Tensor) -> Tensor:
    """Return 1 / cosine, as "Generating images from CLIP" has it (100 / logit).

    Published CLIPs give hardly a cosine below 0.2. Others do, and 1 / cosine has a pole
    at 0: below 0.2 the loss goes on along its tangent.
    """
    cosine = (image * text).sum(dim=-1)
    tangent = (2 - cosine / LEAST_COSINE) / LEAST_COSINE
    return torch.where(
        cosine > LEAST_COSINE, 1 / cosine.clamp_min(LEAST_COSINE), tangent
    )


def one_minus_cosine(image: Tensor, text: Tensor) -> Tensor:
    """Return 1 - cosine (StyleCLIP, Eq. 1)."""
    return 1 - (image * text).sum(dim=-1)


def spherical(image: Tensor, text: Tensor) -> Tensor:
    """Return half the squared angle, 2 asin^2(|x - y| / 2), of unit vectors.

    Its gradient does not fade as that of 1 - cosine does near opposite vectors.
    """
    chord = (image - text).norm(dim=-1)
    return 2 * torch.asin((chord / 2).clamp(max=1 - 1e-6)).square()


LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "inverse_cosine": inverse_cosine,
    "one_minus_cosine": one_minus_cosine,
    "spherical": spherical,
}


def text_loss(name: Loss, embedding: Tensor, target: Tensor) -> Tensor:
    """Return the loss of each picture, the mean over its views, [n].

    Args:
        name: A name of `LOSSES`.
        embedding: Of the views, [num_views, n, clip_dim], of any length.
        target: Of the texts, [n, clip_dim], of any length.
    """
    image = functional.normalize(embedding, dim=-1)
    return LOSSES[name](image, functional.normalize(target, dim=-1)).mean(dim=0)


def input_size(encoder: Encoder, resolution: int) -> int:
    """Return the side of what an encoder reads; the picture's own if it does not tell.

    Args:
        encoder: Some have an `image_size`, [height, width].
        resolution: Pixels a side of the pictures.
    """
    height_width = getattr(encoder, "image_size", None)
    return resolution if height_width is None else min(height_width)


def resize_image(image: Tensor, resize: Resize, size: int) -> Tensor:
    """Return pictures, [n, 3, h, w], as a method hands them to the encoder.

    The original codes leave out CLIP's normalisation of colours; here it is the
    encoder's own as everywhere, because it is what the result is scored with.

    Args:
        image: [n, 3, side, side] in [-1, 1].
        resize: `encoder`: as they are, the encoder resizes. `bilinear`: to its size.
            `styleclip`: each pixel 7 times, then the means of equal squares.
        size: Side that the encoder reads.

    Raises:
        InputError: If the squares of `styleclip` do not come out even.
    """
    if resize == "bilinear":
        return functional.interpolate(image, size=(size, size), mode="bilinear")
    if resize == "styleclip":
        side = 7 * image.shape[-1]
        if side % size:
            msg = (
                f"optimisation.resize: styleclip needs an encoder whose side divides "
                f"7 x {image.shape[-1]} pixels, got {size}. Use resize: encoder."
            )
            raise InputError(msg)
        large = functional.interpolate(image, scale_factor=7, mode="nearest")
        return functional.avg_pool2d(large, side // size)
    return image


def random_windows(
    config: OptimisationConfig, resolution: int, random: torch.Generator
) -> list[Window]:
    """Return the squares of one step.

    Args:
        config: `num_cutouts`, `cutout_least` and `cutout_power`.
        resolution: Side of the picture.
        random: On the CPU.
    """
    windows = []
    for size, down, right in torch.rand(
        config.num_cutouts, 3, generator=random
    ).tolist():
        least = config.cutout_least
        fraction = least + (1 - least) * size**config.cutout_power
        side = max(1, round(fraction * resolution))
        free = resolution - side + 1
        windows.append((int(down * free), int(right * free), side))
    return windows


def cut_out(image: Tensor, windows: list[Window], size: int) -> Tensor:
    """Return squares of pictures, resized by area, [num_windows, n, 3, size, size].

    Args:
        image: [n, 3, h, w].
        windows: One or more, the same of each picture.
        size: Side of the result.
    """
    squares = [
        functional.interpolate(
            image[..., top : top + side, left : left + side],
            size=(size, size),
            mode="area",
        )
        for top, left, side in windows
    ]
    return torch.stack(squares)
