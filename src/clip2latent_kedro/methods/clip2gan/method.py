"""CLIP2GAN: one w for each text, by a mapping network trained on images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from torch import Tensor

from clip2latent_kedro.methods.clip2gan.mapper import Bridge, Clip2Gan, map_to_w
from clip2latent_kedro.methods.method import (
    LatentMethod,
    Queries,
    UnavailableError,
    not_trained,
)

if TYPE_CHECKING:
    from clip2latent_kedro.methods.models import Models

CAVEAT = (
    "CLIP2GAN is known by its abstract alone: network, noise and mean shift are ours. "
    "Its default settings are the best of 7 that were tried on prompts of the bank, "
    "those of clip2latent's sampling of 91."
)


@dataclass(frozen=True)
class Clip2GanSettings:
    """How a text is mapped.

    Attributes:
        bridge: From texts to where the model knows embeddings (see `map_to_w`).
    """

    bridge: Bridge = "none"


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
        model = find_clip2gan(models, settings.bridge)
        return cls(
            generator=models.generator,
            model=model,
            settings=settings,
            made_with={"clip2gan": model.identity.digest},
            is_deterministic=True,
            training_seconds=model.training_seconds,
            caveats=(CAVEAT,),
        )

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_prompts, num_samples, num_ws, w_dim]."""
        w = map_to_w(self.model, queries.embedding, bridge=self.settings.bridge)
        return w[:, None].repeat(1, num_samples, 1, 1)


def find_clip2gan(models: "Models", bridge: Bridge) -> Clip2Gan:
    """Return the CLIP2GAN of a domain.

    Args:
        models: Of the domain.
        bridge: From texts to where it knows embeddings.

    Raises:
        UnavailableError: If none has been trained for this generator and encoder, or
            the bridge needs a mean that it does not know.
    """
    model = models.clip2gan
    if model is None:
        raise not_trained("clip2gan")
    for role, trained, given in (
        ("generator", model.generator_identity, models.generator.identity),
        ("encoder", model.encoder_identity, models.embedder.identity),
    ):
        if trained.digest != given.digest:
            msg = (
                f"clip2gan was trained for the {role} {trained}, got {given}. Run "
                f"the pipeline baselines, or point the catalog entry clip2gan at "
                f"another."
            )
            raise UnavailableError(msg)
    knows_texts = model.embedding_statistics.text_mean is not None
    if bridge == "mean_shift" and not knows_texts:
        msg = (
            "bridge must be none for a clip2gan that does not know the mean of "
            "texts. Give it a prompt_bank, or set bridge: none."
        )
        raise UnavailableError(msg)
    return model
