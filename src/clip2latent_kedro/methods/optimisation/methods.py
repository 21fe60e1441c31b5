"""The methods, for some prompts and samples of each: search from nothing, or go on."""

from dataclasses import replace

from torch import Tensor

from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import LatentGaussian
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig
from clip2latent_kedro.methods.optimisation.loop import (
    OptimisedLatents,
    optimise_latents,
)
from clip2latent_kedro.methods.optimisation.starts import draw_starts


def optimise(
    generator: Generator,
    encoder: Encoder,
    text_embedding: Tensor,
    config: OptimisationConfig,
    *,
    gaussian: LatentGaussian,
    num_samples: int,
    seed: int,
    progress: str | None = None,
) -> OptimisedLatents:
    """Search latents for texts, with nothing known but the models.

    Samples of a search from a fixed start are all the same: it runs once.

    Args:
        generator: On the device of the embeddings.
        encoder: Likewise.
        text_embedding: [n, clip_dim], of any length.
        config: A method of `params:baselines.optimisation`.
        gaussian: Of w, one row for each layer (see `fit_generator_gaussian`).
        num_samples: Of each text.
        seed: Sample j of text i depends on (seed, i, j) alone.
        progress: What the progress bar says; None for no bar.

    Returns:
        `w` is [n, num_samples, num_ws, w_dim].

    Raises:
        InputError: If the settings do not suit the models.
    """
    start = draw_starts(
        generator,
        encoder,
        text_embedding,
        config,
        gaussian=gaussian,
        num_samples=num_samples if config.is_random else 1,
        seed=seed,
    )
    found = refine(
        generator,
        encoder,
        text_embedding,
        start,
        config,
        gaussian=gaussian,
        seed=seed,
        progress=progress,
    )
    if config.is_random:
        return found
    return replace(
        found,
        w=found.w.expand(-1, num_samples, -1, -1),
        curve=found.curve.expand(-1, -1, num_samples),
        trajectory=found.trajectory.expand(-1, -1, num_samples, -1, -1),
    )


def refine(
    generator: Generator,
    encoder: Encoder,
    text_embedding: Tensor,
    w: Tensor,
    config: OptimisationConfig,
    *,
    gaussian: LatentGaussian,
    seed: int,
    progress: str | None = None,
) -> OptimisedLatents:
    """Go on from samples of another method, such as a prior's.

    Args:
        generator: On the device of w.
        encoder: Likewise.
        text_embedding: [n, clip_dim], of any length.
        w: Samples of each text, [n, num_samples, num_ws, w_dim].
        config: `refine` of `params:baselines.optimisation`.
        gaussian: Of w, one row for each layer; that of a prior's training data by
            `repeat_gaussian(prior.gaussian, latent_repeats)`.
        seed: Decides the cutouts.
        progress: What the progress bar says; None for no bar.

    Returns:
        `w` is [n, num_samples, num_ws, w_dim]; with 0 steps it is what was given.

    Raises:
        InputError: If the settings do not suit the models.
    """
    num_prompts, num_samples = w.shape[:2]
    found = optimise_latents(
        generator,
        encoder,
        text_embedding.repeat_interleave(num_samples, dim=0),
        w.flatten(0, 1),
        config,
        gaussian=gaussian,
        seed=seed,
        progress=progress,
    )
    records = (len(found.steps), num_prompts, num_samples)
    return replace(
        found,
        w=found.w.view(w.shape),
        curve=found.curve.view(records),
        trajectory=found.trajectory.view(*records, *w.shape[2:]),
    )
