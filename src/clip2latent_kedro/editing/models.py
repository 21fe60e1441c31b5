"""All that edits are prepared and applied with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clip2latent_kedro.interfaces import Encoder, Generator, PerceptualLoss
from clip2latent_kedro.methods.models import Models, PriorName
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage

if TYPE_CHECKING:  # their code is in the key of the edits alone that use them
    from clip2latent_kedro.editing.directions.direction import Direction
    from clip2latent_kedro.editing.global_directions.relevance import ChannelRelevance
    from clip2latent_kedro.editing.inversion.inverter import ImageInverter
    from clip2latent_kedro.editing.mapper.mapper import StyleMapper


@dataclass(frozen=True, kw_only=True)
class EditingModels:
    """The models of a domain, and what has been learned for editing with them.

    Attributes:
        models: Generator, encoders, judge, priors; on one device.
        identity_encoder: Image -> features that tell who is in it; None if there is
            none.
        directions: Directions of w, by name.
        channel_relevance: What each channel of S does to CLIP's embedding; None before
            it is measured.
        mappers: StyleCLIP's latent mappers, by the name of their target.
        perceptual: How far two pictures are from each other; None if there is none.
        image_inverter: Trained, image -> w; None if there is none.
    """

    models: Models
    identity_encoder: Encoder | None = None
    directions: Mapping[str, "Direction"] = field(default_factory=dict)
    channel_relevance: "ChannelRelevance | None" = None
    mappers: Mapping[str, "StyleMapper"] = field(default_factory=dict)
    perceptual: PerceptualLoss | None = None
    image_inverter: "ImageInverter | None" = None

    def __post_init__(self) -> None:
        """Move all models to the device."""
        for model in (
            self.identity_encoder,
            self.perceptual,
            self.image_inverter,
            *self.mappers.values(),
        ):
            if model is not None:
                model.to(self.device)

    @property
    def device(self) -> str:
        """Where to compute."""
        return self.models.device

    @property
    def generator(self) -> Generator:
        """The generator of the domain."""
        return self.models.generator


def domain_of(
    model: TextToImage, sampling: SamplingConfig, *, prior: PriorName = "prior"
) -> Models:
    """Return the models of the method as those of a domain, which edits take.

    Args:
        model: Generator, encoder and prior.
        sampling: How its pictures are drawn.
        prior: What its prior is called.
    """
    return Models(
        generator=model.generator,
        encoder=model.scorer or model.encoder,
        embedder=model.encoder,
        latent_repeats=model.latent_repeats,
        latent_batch_size=model.latent_batch_size,
        image_batch_size=model.image_batch_size,
        device=model.device,
        priors={prior: model.prior},
        sampling=sampling,
    )
