"""CLIP2GAN: one w for each text, by a mapping network trained on images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from torch import Tensor

from clip2latent_kedro.checked import Checked, NonNegativeFloat
from clip2latent_kedro.methods.clip2gan.mapper import Bridge, Clip2Gan, map_to_w
from clip2latent_kedro.methods.method import (
    LatentMethod,
    Queries,
    UnavailableError,
    not_trained,
)

if TYPE_CHECKING:
    from clip2latent_kedro.methods.models import Models

MapperName = Literal["clip2gan", "clip2gan_abstract"]
CAVEATS: dict[MapperName, str] = {
    "clip2gan": "CLIP2GAN is known by its abstract alone: network, noise and mean "
    "shift are ours. Of its training 7 settings were tried on prompts of the bank.",
    "clip2gan_abstract": "CLIP2GAN is known by its abstract alone: this one has what "
    "that tells, and the network and the losses of ours.",
}


@dataclass(frozen=True)
class Clip2GanSettings(Checked):
    """How a text is mapped.

    Attributes:
        mapper: Ours, or one that was trained without noise on the embeddings, as the
            abstract tells it.
        bridge: From texts to where the model knows embeddings (see `map_to_w`).
        shift_share: Share of the difference of the means, for the bridge `mean_shift`.
        psi: Truncation of w towards the mean of the training data; 1 is none.
    """

    mapper: MapperName = "clip2gan"
    bridge: Bridge = "none"
    shift_share: NonNegativeFloat = 1.0
    psi: NonNegativeFloat = 1.0


@dataclass(frozen=True, kw_only=True)
class Clip2GanMethod(LatentMethod):
    """w of the text itself; all samples of a prompt are the same.

    Attributes:
        model: On the device of the embeddings.
    """

    Settings: ClassVar[type] = Clip2GanSettings

    settings: Clip2GanSettings
    model: Clip2Gan

    @classmethod
    def build(
        cls, settings: Clip2GanSettings, models: "Models", queries: Queries
    ) -> Self:
        """Return CLIP2GAN.

        Raises:
            UnavailableError: If none has been trained for this generator and encoder,
                or the bridge needs a mean that it does not know.
        """
        model = find_clip2gan(models, settings.bridge, settings.mapper)
        return cls(
            generator=models.generator,
            model=model,
            settings=settings,
            made_with={"clip2gan": model.identity.digest},
            is_deterministic=True,
            ignores_seed=True,
            training_seconds=model.training_seconds,
            caveats=(CAVEATS[settings.mapper],),
        )

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_prompts, num_samples, num_ws, w_dim]."""
        settings = self.settings
        w = map_to_w(
            self.model,
            queries.embedding,
            bridge=settings.bridge,
            shift_share=settings.shift_share,
            psi=settings.psi,
        )
        return w[:, None].repeat(1, num_samples, 1, 1)


def find_clip2gan(
    models: "Models", bridge: Bridge, name: MapperName = "clip2gan"
) -> Clip2Gan:
    """Return a CLIP2GAN of a domain.

    Args:
        models: Of the domain.
        bridge: From texts to where it knows embeddings.
        name: Its catalog entry.

    Raises:
        UnavailableError: If none has been trained for this generator and encoder, or
            the bridge needs a mean that it does not know.
    """
    model = models.clip2gan if name == "clip2gan" else models.clip2gan_abstract
    if model is None:
        raise not_trained(name)
    for role, trained, given in (
        ("generator", model.generator_identity, models.generator.identity),
        ("encoder", model.encoder_identity, models.embedder.identity),
    ):
        if trained.digest != given.digest:
            msg = (
                f"{name} was trained for the {role} {trained}, got {given}. Run "
                f"the pipeline baselines, or point the catalog entry {name} at "
                f"another."
            )
            raise UnavailableError(msg)
    knows_texts = model.embedding_statistics.text_mean is not None
    if bridge == "mean_shift" and not knows_texts:
        msg = (
            f"bridge must be none for a {name} that does not know the mean of "
            f"texts. Give it a prompt_bank, or set bridge: none."
        )
        raise UnavailableError(msg)
    return model
