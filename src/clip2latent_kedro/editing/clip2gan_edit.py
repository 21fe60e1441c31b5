"""CLIP2GAN's edit (arXiv 2211.15045): a mapped text is added to a mapped image.

Of the paper only the abstract is known, which says no more than that. With M the
mapping network, and w_mean the mean of w, which would otherwise be added twice,

    reconstruct   w_s = M(image) + s (M(target) - w_mean)
    residual      w_s = w + s (M(target) - M(neutral))

The first is the abstract's, and begins at the network's reconstruction of the picture;
the second is our reading of it, which leaves alone what the two texts share.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import torch
from torch import Tensor

from clip2latent_kedro.checked import Checked, Rule
from clip2latent_kedro.editing.edit import EditMethod, EditTarget, Source
from clip2latent_kedro.editing.pictures import embed_pictures
from clip2latent_kedro.editing.texts import (
    Templates,
    embed_templates,
    templates_rule,
)
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import Latents, repeat_latents
from clip2latent_kedro.methods.clip2gan import Bridge, Clip2Gan, map_to_w
from clip2latent_kedro.methods.clip2gan.method import find_clip2gan

if TYPE_CHECKING:
    from clip2latent_kedro.editing.models import EditingModels


@dataclass(frozen=True)
class Clip2GanEditSettings(Checked):
    """How the mapped text is added.

    Attributes:
        form: `reconstruct` or `residual` (see the module).
        bridge: From texts to where the network knows embeddings (see `map_to_w`).
        templates: Sentences over which texts are averaged, `{}` for the text, or
            `imagenet` (see `texts.read_templates`).
    """

    form: Literal["reconstruct", "residual"] = "residual"
    bridge: Bridge = "mean_shift"
    templates: Templates = field(default_factory=lambda: ["{}"])

    def rules(self) -> Iterator[Rule]:
        """Yield that the templates have a place for a text."""
        yield templates_rule(self.templates)


@dataclass(frozen=True, kw_only=True)
class Clip2GanEdit(EditMethod):
    """CLIP2GAN's edit, for one text or the difference of two.

    Attributes:
        generator: w -> image.
        encoder: Of the pictures, in the form that the network knows.
        model: The mapping network.
        offset: What strength 1 adds, [1, num_ws, w_dim].
        batch_size: Pictures drawn and embedded at a time.
    """

    Settings: ClassVar[type] = Clip2GanEditSettings
    strengths: ClassVar[Sequence[float]] = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)

    settings: Clip2GanEditSettings
    generator: Generator
    encoder: Encoder
    model: Clip2Gan
    offset: Tensor
    batch_size: int

    @classmethod
    def prepare(
        cls, settings: Clip2GanEditSettings, models: "EditingModels", target: EditTarget
    ) -> Self:
        """Return the edit; the texts are embedded and mapped, and that is all.

        Raises:
            UnavailableError: If there is no CLIP2GAN for this generator and encoder, or
                it does not know the mean that the bridge takes.
        """
        domain = models.models
        model = find_clip2gan(domain, settings.bridge)
        began = time.perf_counter()
        texts = torch.stack(
            [
                embed_templates(domain.embedder, text, settings.templates)
                for text in (target.target, target.neutral)
            ]
        )
        to, away = torch.split(map_to_w(model, texts, bridge=settings.bridge), 1)
        if settings.form == "reconstruct":
            away = repeat_latents(model.statistics.mean[None], model.latent_repeats)
        return cls(
            settings=settings,
            target=target,
            generator=domain.generator,
            encoder=domain.embedder,
            model=model,
            offset=to - away.to(to),
            batch_size=domain.image_batch_size,
            made_with={"clip2gan": model.identity.digest},
            preparation={"generator": 0.0, "target": time.perf_counter() - began},
        )

    def apply(self, source: Source, strength: float) -> Latents:
        """Return the edited latents; what is added to the styles stays as it is."""
        (edited,) = self.apply_all(source, [strength])
        return edited

    @torch.no_grad()
    def apply_all(self, source: Source, strengths: Sequence[float]) -> list[Latents]:
        """Return the edited latents at each strength; pictures are mapped once."""
        latents = source.latents
        start = latents.w
        if self.settings.form == "reconstruct" and any(strengths):
            pictures = embed_pictures(
                self.generator, self.encoder, latents, batch_size=self.batch_size
            )
            start = map_to_w(self.model, pictures)
        return [
            replace(latents, w=start + strength * self.offset) if strength else latents
            for strength in strengths
        ]
