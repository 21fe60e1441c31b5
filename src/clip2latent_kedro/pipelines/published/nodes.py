"""Nodes of `published` and `export`."""

import logging
from collections.abc import Mapping
from typing import Any

from clip2latent_kedro.editing.directions.direction import Direction
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator, Identity
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.prior.adoption import adopt_prior
from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.prior.published import published_config
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.sharing import PREPROCESS, ModelReference, SharedModel

logger = logging.getLogger(__name__)


def adopt(
    published_checkpoint: Checkpoint,
    generator: Generator,
    encoder: Encoder,
    data: DataConfig,
    seed: int,
    device: str,
) -> Checkpoint:
    """Return a published checkpoint as the prior of this environment.

    Args:
        published_checkpoint: As `read_published` returns it, bound to no models yet.
        generator: The one that it was trained for.
        encoder: The one whose embeddings it takes.
        data: Layers that its latents stand for, and how images are read.
        seed: Of the random w that the generator's own distribution is measured on.
        device: Where these are computed.
    """
    logger.info(
        "Adopting a published prior of step %d for %s and %s.",
        published_checkpoint.step,
        generator.identity,
        encoder.identity,
    )
    return adopt_prior(
        published_checkpoint,
        generator,
        data.embedder(encoder),
        data,
        seed=seed,
        device=pick_device(device),
    )


def export_published(exported_prior: Checkpoint) -> Checkpoint | Mapping[str, Any]:
    """Return the prior for the published format; an empty mapping if it has no place.

    Args:
        exported_prior: The checkpoint of the entry `prior`.
    """
    try:
        published_config(exported_prior)
    except InputError as error:
        logger.info("There will be no published_export. %s", error)
        return {}
    return exported_prior


def assemble_folder(
    exported_prior: Checkpoint,
    generator: Generator,
    encoder: Encoder,
    model_references: Mapping[str, Mapping[str, Any]],
    data: DataConfig,
    sampling: SamplingConfig,
    directions: dict[str, Direction] | None,
) -> SharedModel:
    """Return the whole model as it is shared.

    Args:
        exported_prior: The checkpoint of the entry `prior`.
        generator: The one that it was trained for.
        encoder: The one whose embeddings it takes.
        model_references: Kind, file and options of the two in the catalog, by role.
        data: How images are read.
        sampling: How latents are sampled, unless a call says otherwise.
        directions: Of w, for edits; those of another generator stay behind; None for
            none.
    """

    def refer(role: str, identity: Identity) -> ModelReference:
        stated = {
            name: model_references[role][name]
            for name in ("kind", "filepath", "options")
        }
        return ModelReference(**stated, identity=identity)

    preprocess = {name: getattr(data, name) for name in PREPROCESS}
    return SharedModel(
        exported_prior,
        refer("generator", generator.identity),
        refer("encoder", encoder.identity),
        sampling,
        preprocess,
        directions or {},
    )
