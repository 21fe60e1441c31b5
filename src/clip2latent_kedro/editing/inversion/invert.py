"""The inversion of pictures, whole: the start, then the projector."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.editing.inversion.distance import fit_pictures, make_distance
from clip2latent_kedro.editing.inversion.projector import (
    LatentSpread,
    measure_spread,
    project,
)
from clip2latent_kedro.editing.inversion.starts import STARTS
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import synthesise_latents
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.progress import progress_bar


def invert_pictures(
    images: Tensor | Sequence[Tensor],
    models: EditingModels,
    config: InversionConfig,
    *,
    seed: int,
    spread: LatentSpread | None = None,
    progress: str | None = None,
) -> Latents:
    """Return latents whose images are like the pictures.

    Args:
        images: One or more square pictures, [3, side, side] in [-1, 1] each, of any
            size, as `images.read_image` gives them.
        models: The generator, and what the settings ask for.
        config: How to invert.
        seed: The inversion of a picture depends on it and on the picture alone, but
            for rounding.
        spread: Of the generator's w, if it has been measured already.
        progress: What a progress bar says; None for no bar.

    Returns:
        Of n pictures, on the device of the models; with a `style_offset` in space `s`.

    Raises:
        UnavailableError: If the domain lacks something that the settings ask for.
        InputError: If a picture is none, or the settings do not suit the models, or
            lead to latents that have no image.
    """
    pictures = prepare_pictures(images, models)
    distance = make_distance(models.perceptual, config)
    if spread is None:
        spread = measure_spread(models.generator, device=models.device)
    parts = torch.split(pictures, config.batch_size)
    bar: AbstractContextManager[Callable[..., None]] = nullcontext(lambda: None)
    if progress is not None:
        total = len(parts) * config.num_steps
        bar = progress_bar(progress, total=total, unit="steps")
    found = []
    with bar as advance:
        for part in parts:
            start = STARTS[config.start](
                part, models, distance, config, spread=spread, seed=seed
            )
            for step, latents in enumerate(
                project(
                    models.generator,
                    distance,
                    part,
                    start,
                    config,
                    spread=spread,
                    seed=seed,
                )
            ):
                if step:
                    advance()
                if step == config.num_steps:
                    _check_image(models, latents)
                    found.append(latents)
    return join_latents(found)


@torch.no_grad()
def _check_image(models: EditingModels, latents: Latents) -> None:
    """Check that what has been found can be drawn, as it cannot where steps diverge."""
    image = synthesise_latents(models.generator, latents)
    if not bool(image.isfinite().all()):
        msg = (
            "The inversion of pictures must end at finite images, got others. Use a "
            "smaller editing.inversion.lr."
        )
        raise InputError(msg)


def prepare_pictures(
    images: Tensor | Sequence[Tensor], models: EditingModels
) -> Tensor:
    """Return pictures as the generator draws them, [n, 3, resolution, resolution].

    Args:
        images: Of `invert_pictures`.
        models: With the generator, on its device.

    Raises:
        InputError: If there is no picture, or one is none.
    """
    fitted = []
    for image in images:
        is_picture = image.ndim == 3 and len(image) == 3
        if not is_picture or image.shape[1] != image.shape[2] or 0 in image.shape:
            msg = (
                f"A picture to invert must have shape [3, side, side], got "
                f"{list(image.shape)}. Read it by images.read_image."
            )
            raise InputError(msg)
        square = image[None].to(models.device).float()
        fitted.append(fit_pictures(square, models.generator.resolution))
    if not fitted:
        raise InputError("There must be a picture to invert, got none. Give one.")
    return torch.cat(fitted)


def join_latents(parts: Sequence[Latents]) -> Latents:
    """Return the latents of all pictures as one; all have style offsets, or none."""
    w = torch.cat([part.w for part in parts])
    offsets = [part.style_offset for part in parts if part.style_offset is not None]
    return Latents(w, torch.cat(offsets) if offsets else None)
