"""Global directions: any pair of texts becomes a direction of S at once."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from torch import Tensor

from clip2latent_kedro.checked import Checked, Fraction, PositiveInt, Rule
from clip2latent_kedro.editing.edit import EditMethod, EditTarget, Source
from clip2latent_kedro.editing.global_directions.measurement import (
    find_moved,
    require_styles,
)
from clip2latent_kedro.editing.global_directions.relevance import ChannelRelevance
from clip2latent_kedro.editing.texts import (
    Templates,
    templates_rule,
    text_direction,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.methods.method import UnavailableError

if TYPE_CHECKING:
    from clip2latent_kedro.editing.models import EditingModels


@dataclass(frozen=True)
class GlobalDirectionSettings(Checked):
    """How a direction of S is made of a direction of CLIP's space.

    Attributes:
        beta: Least |relevance| of a channel that is moved (StyleCLIP: 0.08 to 0.3,
            0.15); a high one disentangles.
        num_channels: At most so many channels are moved, the most relevant ones; None
            for all above beta. StyleCLIP's authors advise 10 to 20 for colours, 100 to
            200 for structure.
        templates: Sentences over which texts are averaged, `{}` for the text, or
            `imagenet` for StyleCLIP's 79.
        include_colours: Whether the channels of ToRGB may be moved, if they have been
            measured; StyleCLIP leaves them out, but flat pictures have their colours
            from there.
    """

    beta: Fraction = 0.1
    num_channels: PositiveInt | None = 20
    templates: Templates = field(default_factory=lambda: ["{}"])
    include_colours: bool = True

    def rules(self) -> Iterator[Rule]:
        """Yield that each template has a place for the text."""
        yield templates_rule(self.templates)


@dataclass(frozen=True, kw_only=True)
class GlobalDirections(EditMethod):
    """s + strength * delta s (StyleCLIP, Section 6); the strength is its alpha.

    Attributes:
        offset: delta s, [num_channels].
    """

    Settings: ClassVar[type] = GlobalDirectionSettings
    strengths: ClassVar[Sequence[float]] = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)

    offset: Tensor

    @classmethod
    def prepare(
        cls,
        settings: GlobalDirectionSettings,
        models: "EditingModels",
        target: EditTarget,
    ) -> Self:
        """Return the edit that a target's two texts tell.

        Raises:
            UnavailableError: If the generator has no space S, or the relevance of its
                channels has not been measured.
            InputError: If it was measured with other models, or no channel is relevant
                enough.
        """
        began = time.perf_counter()
        generator = require_styles(models.generator)
        relevance = models.channel_relevance
        if relevance is None:
            msg = "There is no channel_relevance. Run the pipeline relevance first."
            raise UnavailableError(msg)
        encoder = models.models.encoder
        relevance.check_models(generator, encoder)
        delta_t = text_direction(encoder, target, settings.templates)
        allowed = find_moved(generator, include_colours=settings.include_colours)
        offset = style_direction(
            relevance,
            delta_t.cpu(),
            beta=settings.beta,
            num_channels=settings.num_channels,
            allowed=allowed,
        ).to(models.device)
        return cls(
            settings=settings,
            target=target,
            offset=offset,
            made_with={"channel_relevance": dict(relevance.recipe)},
            preparation={
                "generator": relevance.seconds,
                "target": time.perf_counter() - began,
            },
        )

    def apply(self, source: Source, strength: float) -> Latents:
        """Return the latents with their styles moved by strength * delta s."""
        latents = source.latents
        if strength == 0:
            return latents
        offset = (strength * self.offset.to(latents.w)).expand(len(latents.w), -1)
        if latents.style_offset is not None:
            offset = latents.style_offset + offset
        return replace(latents, style_offset=offset)


def style_direction(
    relevance: ChannelRelevance,
    delta_t: Tensor,
    *,
    beta: float,
    num_channels: int | None = None,
    allowed: Tensor | None = None,
) -> Tensor:
    """Return delta s, [num_channels], for a direction of CLIP's space.

        R        = rows . delta t
        R'_c     = R_c if |R_c| >= beta, else 0
        delta s  = sigma * R' / max |R'|

    (StyleCLIP, Section 6, and GetBoundary of its global_torch/StyleCLIP.py.)

    Args:
        relevance: Of the channels.
        delta_t: Unit difference of two texts, [clip_dim].
        beta: Least |R| of a channel that is moved.
        num_channels: At most so many are; None for all above beta.
        allowed: Channels that may be, [num_channels] bool; None for all.

    Raises:
        InputError: If no channel reaches beta; the message says the largest |R|.
    """
    relevant = relevance.directions @ delta_t.to(relevance.directions)
    if allowed is not None:
        relevant = relevant * allowed.to(relevant)
    size = relevant.abs()
    largest = float(size.max())
    if largest < beta or largest == 0:
        msg = (
            f"beta must be at most the largest relevance of a channel to this edit, "
            f"{largest:.3f}, got {beta}. Lower beta, or say the edit in other words."
        )
        raise InputError(msg)
    kept = size >= beta
    if num_channels is not None and num_channels < len(size):
        kept[torch.argsort(size, descending=True, stable=True)[num_channels:]] = False
    return relevant * kept / largest * relevance.std
