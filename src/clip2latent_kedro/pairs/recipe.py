"""What made a set of pairs, and whether a stored set may be continued."""

import logging
from collections.abc import Mapping
from typing import Any

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.pairs.config import DataConfig, GenerationConfig
from clip2latent_kedro.pairs.contents import ShardProgress
from clip2latent_kedro.provenance import describe_provenance, list_differences

logger = logging.getLogger(__name__)

_CODE = "clip2latent_kedro.pairs.generation"
FREE = frozenset({"versions"})  # what differs in them alone is made again


def describe_recipe(
    generator: Generator,
    encoder: Encoder,
    data: DataConfig,
    generation: GenerationConfig,
    seed: int,
    device: str,
) -> dict[str, Any]:
    """Return all that decides the pairs, as plain JSON; under `versions`, by what code.

    The size of batches is not in it, nor what only speeds synthesis up: they round
    embeddings at most, and leave w as it is (see `generation`).
    """
    recipe = {
        "n_samples": generation.n_samples,
        "samples_per_shard": generation.samples_per_shard,
        "seed": seed,
        "psi": float(generation.psi),
        "latent_repeats": list(data.latent_repeats),
        "noise_mode": "const",
        "out_image_size": generation.out_image_size,
        "save_images": generation.save_images,
        "dtype": generation.dtype,
        "generator": f"{generator.identity.name}@{generator.identity.digest}",
        "encoder": f"{encoder.identity.name}@{encoder.identity.digest}",
        "embed_preprocess": getattr(encoder, "embed_preprocess", None),
        "versions": describe_provenance(device, _CODE, generator, encoder),
    }
    # Unsaid is float32, as in stores of before there was a choice.
    if generation.precision != "float32":
        recipe["precision"] = generation.precision
    return recipe


def keep_progress(
    recipe: Mapping[str, Any], progress: ShardProgress, *, entry: str = "training_pairs"
) -> ShardProgress:
    """Return what can be kept of a store: nothing that other code has made.

    Args:
        recipe: What makes it now; under `versions`, by what code.
        progress: What is stored.
        entry: The store in the catalog, for messages.

    Raises:
        InputError: If what is stored was made by another recipe or cannot be read.
    """
    mend = "`--params=resume:false` to replace it"
    if progress.problem is not None:
        msg = f"The stored {entry} cannot be resumed: {progress.problem} Use "
        raise InputError(msg + mend + ".")
    if progress.recipe is not None:
        differing = list_differences(progress.recipe, recipe, free=FREE)
        if differing:
            msg = (
                f"The stored {entry} were made under other settings: "
                f"{', '.join(differing)}. Use the same settings, or {mend}."
            )
            raise InputError(msg)
        made_by, now = (one["versions"] for one in (progress.recipe, recipe))
        if outdated := list_differences(made_by, now):
            logger.warning(
                "The stored %s are made again: %s.", entry, ", ".join(outdated)
            )
            return ShardProgress(writer=progress.writer)
    return progress


def check_layers(generator: Generator, data: DataConfig) -> None:
    """Raise InputError unless the groups of latents fit the generator."""
    layers = sum(data.latent_repeats)
    if layers != generator.num_ws:
        msg = (
            f"data.latent_repeats must add up to the {generator.num_ws} layers of "
            f"{generator.identity.name}, got {data.latent_repeats} = {layers}. For w "
            f"use n_latents: 1 and latent_repeats: [{generator.num_ws}]."
        )
        raise InputError(msg)
    if data.latent_dim != generator.w_dim:
        msg = (
            f"data.latent_dim must be the width of w of {generator.identity.name}, "
            f"{generator.w_dim}, got {data.latent_dim}. Correct it in params:data."
        )
        raise InputError(msg)
