"""The edit by a trained mapper."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import torch

from clip2latent_kedro.checked import Checked
from clip2latent_kedro.editing.edit import EditMethod, EditTarget, Source
from clip2latent_kedro.editing.layers import Layers, read_layers
from clip2latent_kedro.editing.mapper.mapper import StyleMapper
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.methods.method import UnavailableError

if TYPE_CHECKING:
    from clip2latent_kedro.editing.models import EditingModels


@dataclass(frozen=True)
class MapperEditSettings(Checked):
    """What of a trained mapper is used.

    Attributes:
        layers: A group of rows that move, a list of them, or null for all that it was
            trained to move.
    """

    layers: Layers | None = None


@dataclass(frozen=True, kw_only=True)
class MapperEdit(EditMethod):
    """w + 0.1 strength M(w), where M was trained for the target.

    M is run once for all strengths. Strength 1 is what the training asked for.

    Attributes:
        mapper: On the device of the latents.
        layers: Rows that may move; None for all.
    """

    Settings: ClassVar[type] = MapperEditSettings
    strengths: ClassVar[Sequence[float]] = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)

    mapper: StyleMapper
    layers: Sequence[int] | None = None

    @classmethod
    def prepare(
        cls, settings: MapperEditSettings, models: "EditingModels", target: EditTarget
    ) -> Self:
        """Return the edit by the mapper that has the name of the target.

        Raises:
            UnavailableError: If there is none, or it was trained for another text.
            InputError: If it was trained for another generator.
        """
        mapper = models.mappers.get(target.name)
        if mapper is None:
            known = ", ".join(sorted(models.mappers)) or "none at all"
            msg = (
                f"There must be a mapper of the target {target.name!r}, got {known}. "
                f"Train it with kedro run --pipeline=mappers."
            )
            raise UnavailableError(msg)
        if mapper.text != target.target:
            msg = (
                f"The mapper of {target.name!r} must be trained for the text "
                f"{target.target!r}, got one for {mapper.text!r}. Train it anew with "
                f"kedro run --pipeline=mappers."
            )
            raise UnavailableError(msg)
        mapper.check_generator(models.generator)
        seconds = mapper.training_seconds
        return cls(
            settings=settings,
            target=target,
            mapper=mapper,
            layers=None
            if settings.layers is None
            else read_layers(settings.layers, models.generator),
            made_with={"mapper": mapper.identity.digest},
            preparation={} if seconds is None else {"target": seconds},
        )

    def apply(self, source: Source, strength: float) -> Latents:
        """Return the edited latents; what is added to the styles stays as it is."""
        (edited,) = self.apply_all(source, [strength])
        return edited

    @torch.no_grad()
    def apply_all(self, source: Source, strengths: Sequence[float]) -> list[Latents]:
        """Return the edited latents at each strength."""
        latents = source.latents
        if not any(strengths):
            return [latents for _ in strengths]
        offset = self.mapper.offset(latents.w)
        if self.layers is not None:
            is_moved = torch.zeros(offset.shape[1], 1).to(offset)
            is_moved[list(self.layers)] = 1
            offset = offset * is_moved
        return [
            replace(latents, w=latents.w + strength * offset) if strength else latents
            for strength in strengths
        ]
