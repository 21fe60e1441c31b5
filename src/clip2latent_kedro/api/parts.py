"""What edits take beside the three models of the method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from clip2latent_kedro.editing.directions.direction import Direction
from clip2latent_kedro.editing.global_directions.relevance import ChannelRelevance
from clip2latent_kedro.editing.inversion.inverter import ImageInverter
from clip2latent_kedro.editing.mapper.mapper import StyleMapper
from clip2latent_kedro.editing.models import EditingModels, domain_of
from clip2latent_kedro.interfaces import Encoder, PerceptualLoss
from clip2latent_kedro.methods.clip2gan import Clip2Gan
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage


@dataclass(frozen=True)
class EditingParts:
    """What edits take beside generator, encoder and prior; None and {} for nothing.

    Attributes:
        directions: Of w, by name.
        mappers: StyleCLIP's, by the name of their target.
        channel_relevance: What each channel of S does to the embedding.
        identity_encoder: Image -> features that tell who is in it.
        clip2gan: A trained CLIP2GAN.
        perceptual: How far two pictures are from each other, for inversion.
        image_inverter: Image -> w, trained.
    """

    directions: Mapping[str, Direction] = field(default_factory=dict)
    mappers: Mapping[str, StyleMapper] = field(default_factory=dict)
    channel_relevance: ChannelRelevance | None = None
    identity_encoder: Encoder | None = None
    clip2gan: Clip2Gan | None = None
    perceptual: PerceptualLoss | None = None
    image_inverter: ImageInverter | None = None


def find_directions(load: Callable[[str], Any]) -> dict[str, Direction]:
    """Return a project's directions: given and shipped ones before learned ones.

    Args:
        load: Returns an entry of the catalog; None if there is none or nothing in it.
    """
    return {**(load("learned_directions") or {}), **(load("directions") or {})}


def find_parts(load: Callable[[str], Any]) -> EditingParts:
    """Return what a project has for edits.

    Args:
        load: Returns an entry of the catalog; None if there is none or nothing in it.
    """
    return EditingParts(
        directions=find_directions(load),
        mappers=load("mappers") or {},
        channel_relevance=load("channel_relevance"),
        identity_encoder=load("identity_encoder"),
        clip2gan=load("clip2gan"),
        perceptual=load("perceptual"),
        image_inverter=load("image_inverter"),
    )


def gather_models(
    parts: EditingParts, model: TextToImage, sampling: SamplingConfig
) -> EditingModels:
    """Return all that edits are prepared with.

    Args:
        parts: What edits take beside the model.
        model: Generator, encoder and prior.
        sampling: How its pictures are drawn.
    """
    models = domain_of(model, sampling)
    return EditingModels(
        models=replace(models, clip2gan=parts.clip2gan),
        identity_encoder=parts.identity_encoder,
        directions=parts.directions,
        channel_relevance=parts.channel_relevance,
        mappers=parts.mappers,
        perceptual=parts.perceptual,
        image_inverter=parts.image_inverter,
    )
