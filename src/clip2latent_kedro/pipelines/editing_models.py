"""The node that the pipelines of edits share with those that only draw."""

from dataclasses import replace

from clip2latent_kedro.editing.directions.direction import Direction
from clip2latent_kedro.editing.global_directions.relevance import ChannelRelevance
from clip2latent_kedro.editing.mapper.mapper import StyleMapper
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.methods.clip2gan import Clip2Gan
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.samplers import SamplingConfig


def gather_editing_models(
    models: Models,
    clip2gan: Clip2Gan | None,
    identity_encoder: Encoder | None,
    directions: dict[str, Direction] | None,
    channel_relevance: ChannelRelevance | None,
    mappers: dict[str, StyleMapper] | None,
    sampling: SamplingConfig,
) -> EditingModels:
    """Return the models of the domain, with what has been learned for editing.

    Args:
        models: What `add_priors` returned.
        clip2gan: A trained CLIP2GAN; None if there is none.
        identity_encoder: Tells who is in a picture; None if there is none.
        directions: By name; None if there are none.
        channel_relevance: Of the channels of S; None before it is measured.
        mappers: By the name of their target; None before they are trained.
        sampling: How the prior is sampled.
    """
    return EditingModels(
        models=replace(models, clip2gan=clip2gan, sampling=sampling),
        identity_encoder=identity_encoder,
        directions=directions or {},
        channel_relevance=channel_relevance,
        mappers=mappers or {},
    )
