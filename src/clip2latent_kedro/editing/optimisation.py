"""StyleCLIP's latent optimisation: a search for the edit of each picture.

    min over d of  1 - cos(CLIP(G(w_s + d)), CLIP(text))
                   + l2_lambda |d|^2 + id_lambda (1 - cos(R(G(w_s + d)), R(G(w_s))))

(Patashnik et al. 2021, Eq. 1), where d is an offset of w, of each row of w, or of S.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import torch
from torch import Tensor

from clip2latent_kedro.checked import (
    Checked,
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)
from clip2latent_kedro.editing.edit import EditMethod, EditTarget, Source
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import synthesise_latents
from clip2latent_kedro.interfaces import (
    Encoder,
    Generator,
    NoiseMode,
    StyledGenerator,
)
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig, Resize
from clip2latent_kedro.methods.optimisation.loop import optimise_latents
from clip2latent_kedro.methods.optimisation.objective import Keep

if TYPE_CHECKING:
    from clip2latent_kedro.editing.models import EditingModels


@dataclass(frozen=True)
class LatentOptimisationSettings(Checked):
    """How the edit of a picture is searched for; the sources' numbers are in brackets.

    Attributes:
        space: `w`: one offset for all rows. `w+`: one for each. `S`: of the styles.
        num_steps: Steps of Adam (300).
        lr: Peak learning rate (0.1).
        warmup: Share of the steps in which it rises, linearly (0.05).
        rampdown: Share of the steps in which it falls to 0, as a cosine (0.25).
        l2_lambda: Weight of the summed squared offset (0.008).
        id_lambda: Weight of the identity loss (0).
        torgb: Whether the styles of colours move too, in S (no).
        resize: Who brings pictures to the encoder's size (`styleclip`).
        batch_size: Pictures at a time (1).
    """

    space: Literal["w", "w+", "S"] = "w+"
    num_steps: PositiveInt = 60
    lr: PositiveFloat = 0.02
    warmup: Fraction = 0.05
    rampdown: Fraction = 0.25
    l2_lambda: NonNegativeFloat = 0.008
    id_lambda: NonNegativeFloat = 0.0
    torgb: bool = False
    resize: Resize = "encoder"
    batch_size: PositiveInt = 64


@dataclass(frozen=True)
class OffsetGenerator:
    """Pictures of some latents as a function of what is added to them.

    It stands where a search expects a generator: its w is the offset, which is 0 at
    the start.

    Attributes:
        generator: Of the latents.
        latents: Of n pictures.
        is_moved: Which channels of S move, [num_channels]; None in w.
        num_ws: Rows of the offset: 1 if it is added to all rows of w, or to S.
    """

    generator: Generator
    latents: Latents
    is_moved: Tensor | None
    num_ws: int

    @property
    def resolution(self) -> int:
        """Pixels a side of the pictures."""
        return self.generator.resolution

    def zero(self) -> Tensor:
        """Return no offset, [n, num_ws, w_dim or num_channels]."""
        w = self.latents.w
        width = w.shape[2] if self.is_moved is None else len(self.is_moved)
        return w.new_zeros(len(w), self.num_ws, width)

    def shift(self, offset: Tensor) -> Latents:
        """Return the latents with an offset, shaped as that of `zero`."""
        if self.is_moved is None:
            return replace(self.latents, w=self.latents.w + offset)
        styles = offset[:, 0] * self.is_moved
        if self.latents.style_offset is not None:
            styles = self.latents.style_offset + styles
        return replace(self.latents, style_offset=styles)

    def synthesis(self, w: Tensor, *, noise_mode: NoiseMode = "const") -> Tensor:
        """Return pictures, [n, 3, resolution, resolution], of an offset."""
        return synthesise_latents(self.generator, self.shift(w), noise_mode=noise_mode)


@dataclass(frozen=True, kw_only=True)
class LatentOptimisation(EditMethod):
    """The way from a picture to the end of its own search, of which a part is gone.

    Strength is that part: 1 is what the search finds, and all strengths come of one
    search. Its steps are no such dial: Adam moves every channel by its whole learning
    rate at first, far more than the edit takes, before the latent distance pulls
    those back that do not matter.

    Attributes:
        generator: On the device.
        encoder: On the device.
        text_embedding: Of the target, [clip_dim].
        keep: The features that tell who is in a picture, with their weight.
        has_bar: Whether to show the steps.
    """

    Settings: ClassVar[type] = LatentOptimisationSettings
    strengths: ClassVar[Sequence[float]] = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)

    settings: LatentOptimisationSettings
    generator: Generator
    encoder: Encoder
    text_embedding: Tensor
    keep: Keep | None = None
    has_bar: bool = True

    @classmethod
    def prepare(
        cls,
        settings: LatentOptimisationSettings,
        models: "EditingModels",
        target: EditTarget,
    ) -> Self:
        """Return the edit: all that is prepared is the embedding of the text.

        Raises:
            UnavailableError: If the generator has no S, or there are no features for
                the identity loss, and the settings ask for them.
        """
        generator, who = models.generator, models.identity_encoder
        if settings.space == "S" and not isinstance(generator, StyledGenerator):
            msg = (
                f"space must be w or w+ for {generator.identity}, which has no space "
                f"S, got S. Set space: w+."
            )
            raise UnavailableError(msg)
        if settings.id_lambda and who is None:
            msg = (
                f"id_lambda must be 0 where there is no identity_encoder, got "
                f"{settings.id_lambda}. Give its weights in the catalog, or set "
                f"id_lambda: 0."
            )
            raise UnavailableError(msg)
        is_kept = bool(settings.id_lambda) and who is not None
        with torch.no_grad():
            (text_embedding,) = models.models.encoder.encode_text([target.target])
        return cls(
            settings=settings,
            target=target,
            generator=generator,
            encoder=models.models.encoder,
            text_embedding=text_embedding,
            keep=Keep(who, settings.id_lambda) if is_kept and who else None,
            made_with=(
                {"identity_encoder": who.identity.digest} if is_kept and who else {}
            ),
        )

    def apply(self, source: Source, strength: float) -> Latents:
        """Return the edited latents."""
        (edited,) = self.apply_all(source, [strength])
        return edited

    def apply_all(self, source: Source, strengths: Sequence[float]) -> list[Latents]:
        """Return the edited latents at each strength, from one search.

        Raises:
            InputError: If no gradient comes through the models.
        """
        if not any(strengths):
            return [source.latents for _ in strengths]
        whole = self._offset_generator(source.latents)
        rows = torch.split(
            torch.arange(len(source.latents.w)), self.settings.batch_size
        )
        offset = torch.cat(
            [self._search(take_latents(source.latents, r)) for r in rows]
        )
        return [
            whole.shift(strength * offset) if strength else source.latents
            for strength in strengths
        ]

    def _search(self, latents: Latents) -> Tensor:
        """Return the offset that the search of some pictures ends at."""
        settings, moved = self.settings, self._offset_generator(latents)
        start = moved.zero()
        config = OptimisationConfig(
            start="samples",
            num_steps=settings.num_steps,
            lr=settings.lr,
            space="w+",  # each row of the offset by itself
            warmup=settings.warmup,
            rampdown=settings.rampdown,
            resize=settings.resize,
            l2_lambda=settings.l2_lambda,
            batch_size=len(start),
        )
        offset, _ = optimise_latents(
            moved,
            self.encoder,
            self.text_embedding.expand(len(start), -1),
            start,
            config,
            gaussian=None,
            seed=0,  # there are no cutouts, so that nothing is left to chance
            keep=self.keep,
            progress="latent optimisation" if self.has_bar else None,
        )
        return offset

    def _offset_generator(self, latents: Latents) -> OffsetGenerator:
        if self.settings.space != "S":
            num_ws = 1 if self.settings.space == "w" else latents.w.shape[1]
            return OffsetGenerator(self.generator, latents, None, num_ws)
        generator = self.generator
        if not isinstance(generator, StyledGenerator):
            msg = f"space S takes a generator with styles, got {generator.identity}."
            raise InputError(msg)
        kinds = [
            (layer.kind != "colours" or self.settings.torgb, layer.num_channels)
            for layer in generator.style_layers
        ]
        is_moved = [is_free for is_free, count in kinds for _ in range(count)]
        mask = torch.tensor(is_moved, device=latents.w.device)
        return OffsetGenerator(generator, latents, mask, 1)


def take_latents(latents: Latents, rows: Tensor) -> Latents:
    """Return the latents of some pictures, by their numbers."""
    offset = latents.style_offset
    return Latents(latents.w[rows], None if offset is None else offset[rows])
