"""A picture that was brought -> the w that draws it, step by step."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from clip2latent_kedro.api.editing import Editor
from clip2latent_kedro.demo.limits import Limits
from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.editing.inversion.distance import make_distance
from clip2latent_kedro.editing.inversion.invert import prepare_pictures
from clip2latent_kedro.editing.inversion.projector import measure_spread, project
from clip2latent_kedro.editing.inversion.starts import STARTS
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import Latents

SHOWN_EVERY = 10  # steps from one picture to the next


def inversion_settings(editor: Editor, limits: Limits) -> InversionConfig:
    """Return how pictures are inverted here: as the project does, within the limits."""
    config = editor.loaded.inversion
    if editor.models.perceptual is None:
        config = replace(config, perceptual_weight=0.0)
    return replace(config, num_steps=min(config.num_steps, limits.inversion_steps))


def invert_stepwise(
    image: Tensor, models: EditingModels, config: InversionConfig
) -> Iterator[tuple[int, Latents]]:
    """Yield the latents of a picture after some steps, and how many these were.

    The last are those that `editing.inversion.invert.invert_pictures` returns.

    Args:
        image: [3, side, side] in [-1, 1].
        models: The generator, and what the settings ask for.
        config: How to invert.

    Raises:
        UnavailableError: If the domain lacks something that the settings ask for.
        InputError: If the settings do not suit the models, or the steps diverge.
    """
    pictures = prepare_pictures([image], models)
    distance = make_distance(models.perceptual, config)
    spread = measure_spread(models.generator, device=models.device)
    start = STARTS[config.start](
        pictures, models, distance, config, spread=spread, seed=0
    )
    found = project(
        models.generator, distance, pictures, start, config, spread=spread, seed=0
    )
    for step, latents in enumerate(found):
        if step % SHOWN_EVERY == 0 or step == config.num_steps:
            if not bool(torch.isfinite(latents.w).all()):
                msg = "The inversion of this picture diverges. Try another one."
                raise InputError(msg)
            yield step, latents
