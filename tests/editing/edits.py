"""Ways of editing the three colours, whose every answer is known."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from world import ColourGenerator, make_models

from clip2latent_kedro.checked import Checked
from clip2latent_kedro.editing.directions.direction import Direction
from clip2latent_kedro.editing.edit import EditMethod
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.interfaces import StyleLayer
from clip2latent_kedro.latents import Latents


@dataclass(frozen=True)
class GainSettings(Checked):
    gain: float = 1.0


@dataclass(frozen=True, kw_only=True)
class TextShift(EditMethod):
    """w + strength * gain * (target - neutral), as a prior of colours would."""

    Settings: ClassVar[type] = GainSettings
    strengths: ClassVar = (0.5, 1.0, 4.0)

    shift: Tensor

    @classmethod
    def prepare(cls, settings, models, target):
        texts = models.models.encoder.encode_text([target.target, target.neutral])
        return cls(
            settings=settings,
            target=target,
            made_with={"encoder": models.models.encoder.identity.digest},
            shift=settings.gain * (texts[0] - texts[1]),
        )

    def apply(self, source, strength):
        return replace(source.latents, w=source.latents.w + strength * self.shift)


@dataclass(frozen=True, kw_only=True)
class NamedShift(EditMethod):
    """w + strength * the direction of the target's name."""

    strengths: ClassVar = (2.0,)

    offset: Tensor

    @classmethod
    def prepare(cls, settings, models, target):
        offset = models.directions[target.name].offset
        return cls(settings=settings, target=target, offset=offset)

    def apply(self, source, strength):
        return replace(source.latents, w=source.latents.w + strength * self.offset)


@dataclass(frozen=True, kw_only=True)
class StyleShift(EditMethod):
    """Adds the strength to every style."""

    strengths: ClassVar = (1.0,)

    @classmethod
    def prepare(cls, settings, models, target):
        return cls(settings=settings, target=target)

    def apply(self, source, strength):
        w, before = source.latents.w, source.latents.style_offset
        moved = torch.full((len(w), 3), float(strength))
        return Latents(w, moved if before is None else before + moved)


class StyledColours(ColourGenerator):
    """Its styles are the colour itself."""

    style_layers = (StyleLayer("colour", 3, 0),)

    def styles(self, w):
        return w.mean(dim=1)

    def synthesis(self, w, *, noise_mode="const"):
        return self.synthesis_from_styles(self.styles(w), noise_mode=noise_mode)

    def synthesis_from_styles(self, styles, *, noise_mode="const"):
        return styles[:, :, None, None].repeat(1, 1, 4, 4)


METHODS = {"prior": TextShift, "direction": NamedShift, "styles": StyleShift}
REDDER = Direction("redder", torch.tensor([[1.0, 0, 0]]))


def make_editing_models(**changes):
    models = make_models(**changes.pop("models", {}))
    return EditingModels(models=models, directions={"redder": REDDER}, **changes)
