"""Our edit: a sample keeps its noise while its condition moves.

With unit(c) the direction of the condition, and of each of the texts,

    c_s  = |c| unit(unit(c) + s (unit(target) - unit(neutral)))
    w_s  = w + sample(x_T, c_s) - sample(x_T, c)

The gap between texts and images cancels in the difference. A w that the prior did not
draw has the embedding of its own picture for c, and its noise by inverting the sampler
(see `samplers.inversion`); what the inversion misses cancels in w_s.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import torch
from annotated_types import Interval
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.checked import (
    Checked,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Rule,
)
from clip2latent_kedro.conditioning import shift_texts
from clip2latent_kedro.editing.edit import EditMethod, EditTarget, Source
from clip2latent_kedro.editing.pictures import embed_pictures
from clip2latent_kedro.editing.texts import (
    Templates,
    embed_templates,
    templates_rule,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import Latents, repeat_latents
from clip2latent_kedro.methods.digests import digest_prior
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.methods.models import PriorName
from clip2latent_kedro.prior.sampling import check_sampling
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.samplers.ddim import sample_ddim
from clip2latent_kedro.samplers.inversion import invert_ddim
from clip2latent_kedro.schedules import respaced_timesteps
from clip2latent_kedro.text_to_image import TextToImage
from clip2latent_kedro.truncation import psi_within_gaussian

if TYPE_CHECKING:
    from clip2latent_kedro.editing.models import EditingModels


@dataclass(frozen=True)
class PriorEditSettings(Checked):
    """How the condition moves, and how the noise becomes a latent again.

    Attributes:
        prior: The last averaged weights, those that validated best, or the student,
            which takes `num_steps` 1 and `start` 1.
        num_steps: Of DDIM, for a latent and for the inversion.
        guidance_scale: Of both; 1 is none.
        start: Share of the noise schedule that a w is inverted to and drawn again from;
            1 is pure noise, less keeps more of the picture.
        num_refinements: Of each step of the inversion.
        around: `picture` moves the embedding of the picture itself, whose noise is
            found by inversion; `sample` the condition that it was drawn with, from
            the same pure noise, where these are known.
        form: `residual` adds the difference of two samples to w; `direct` takes the
            sample under the moved condition in place of w.
        move: `difference` adds target - neutral to the condition; `replace` goes from
            the condition to the target, where strength 1 leaves nothing of it.
        mean_shift: For `replace`, of the target's text (see `conditioning`).
        noise_level: Embedding noise that the prior is told to expect in a picture, for
            a prior that takes it as an input.
        truncation_quantile: Share of the training data that lies nearest; an edit is
            made weaker where it would leave what they fill. None for no such bound.
        templates: Sentences over which texts are averaged, `{}` for the text, or
            `imagenet` (see `texts.read_templates`).
    """

    prior: PriorName = "prior"
    num_steps: PositiveInt = 2
    guidance_scale: NonNegativeFloat = 1.0
    start: Annotated[float, Interval(gt=0, le=1)] = 0.7
    num_refinements: NonNegativeInt = 1
    around: Literal["picture", "sample"] = "picture"
    form: Literal["residual", "direct"] = "residual"
    move: Literal["difference", "replace"] = "difference"
    mean_shift: Fraction = 0.0
    noise_level: NonNegativeFloat = 0.0
    truncation_quantile: Fraction | None = None
    templates: Templates = field(default_factory=lambda: ["{}"])

    def rules(self) -> Iterator[Rule]:
        """Yield what settings ask of each other."""
        yield templates_rule(self.templates)
        is_read = self.mean_shift == 0 or self.move == "replace"
        yield is_read, "mean_shift", "0 where move is difference, in which it cancels"


@dataclass(frozen=True, kw_only=True)
class PriorEdit(EditMethod):
    """The prior's edit, for one pair of texts.

    Attributes:
        model: Generator, encoder and prior.
        toward: What the unit condition moves by, or moves to, [clip_dim].
    """

    Settings: ClassVar[type] = PriorEditSettings
    strengths: ClassVar[Sequence[float]] = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)

    settings: PriorEditSettings
    model: TextToImage
    toward: Tensor

    @classmethod
    def prepare(
        cls, settings: PriorEditSettings, models: "EditingModels", target: EditTarget
    ) -> Self:
        """Return the edit; two texts are embedded, and that is all.

        Raises:
            UnavailableError: If the prior has not been made, or lacks what a setting
                needs.
            InputError: If the settings do not suit the prior.
        """
        prior = models.models.find_prior(settings.prior)
        model = models.models.text_to_image(prior)
        _check_settings(settings, model)
        began = time.perf_counter()
        to, neutral = (
            embed_templates(model.encoder, text, settings.templates)
            for text in (target.target, target.neutral)
        )
        toward = to - neutral
        if settings.move == "replace":
            shifted, _ = shift_texts(
                prior.embedding_statistics, to[None], settings.mean_shift
            )
            toward = shifted[0]
        return cls(
            settings=settings,
            target=target,
            model=model,
            toward=toward,
            made_with={settings.prior: digest_prior(prior)},
            preparation={"generator": 0.0, "target": time.perf_counter() - began},
        )

    def apply(self, source: Source, strength: float) -> Latents:
        """Return the edited latents; what is added to the styles stays as it is."""
        (edited,) = self.apply_all(source, [strength])
        return edited

    @torch.no_grad()
    def apply_all(self, source: Source, strengths: Sequence[float]) -> list[Latents]:
        """Return the edited latents at each strength; the noise is found once."""
        latents, settings = source.latents, self.settings
        moved = [strength for strength in strengths if strength != 0]
        if not moved:
            return [latents for _ in strengths]
        x_t, condition, timesteps = self._find_start(source)

        at = [0.0, *moved] if settings.form == "residual" else moved
        conditions = torch.cat([self._move(condition, strength) for strength in at])
        samples = self._sample(x_t.repeat(len(at), 1, 1), conditions, timesteps)
        drawn = list(torch.split(samples, len(x_t)))
        edited = {}
        if settings.form == "residual":
            unmoved = drawn.pop(0)
            offsets = [sample - unmoved for sample in drawn]
        else:
            own = self._gather_layers(latents.w)
            offsets = [sample - own for sample in drawn]
        for strength, offset in zip(moved, offsets, strict=True):
            edited[strength] = self._add(latents, offset)
        return [edited[strength] if strength else latents for strength in strengths]

    def _condition_on_picture(self, latents: Latents) -> Tensor:
        """Return what the prior knows the pictures by, [n, width]."""
        model = self.model
        embedding = embed_pictures(
            model.generator,
            model.encoder,
            latents,
            batch_size=model.image_batch_size,
        )
        return model.prior.join_condition(
            embedding, noise_level=self.settings.noise_level
        )

    def _find_start(self, source: Source) -> tuple[Tensor, Tensor, list[int]]:
        """Return x_t to draw from, the condition, and the timesteps from there on."""
        settings, prior = self.settings, self.model.prior
        is_drawn = source.x_T is not None and source.condition is not None
        if settings.around == "sample" and is_drawn:
            assert source.x_T is not None
            assert source.condition is not None
            return source.x_T, source.condition, self._plan(1.0)
        condition = self._condition_on_picture(source.latents)
        timesteps = self._plan(settings.start)
        x_t = invert_ddim(
            prior.denoiser(condition, settings.guidance_scale),
            prior.statistics.normalise(self._gather_layers(source.latents.w)),
            timesteps,
            prior.alpha_bar,
            num_refinements=settings.num_refinements,
        )
        return x_t, condition, timesteps

    def _plan(self, start: float) -> list[int]:
        num_timesteps = max(1, round(start * len(self.model.prior.alpha_bar)))
        return respaced_timesteps(
            num_timesteps, self.settings.num_steps, spacing="trailing"
        )

    def _move(self, condition: Tensor, strength: float) -> Tensor:
        """Return conditions whose embedding has turned, [n, width]."""
        clip_dim = len(self.toward)
        embedding, rest = condition[:, :clip_dim], condition[:, clip_dim:]
        norm = embedding.norm(dim=-1, keepdim=True)
        unit = embedding / norm.clamp_min(1e-12)
        kept = 1 - strength if self.settings.move == "replace" else 1.0
        turned = kept * unit + strength * self.toward.to(unit)
        return torch.cat([norm * functional.normalize(turned, dim=-1), rest], dim=1)

    def _sample(
        self, x_t: Tensor, condition: Tensor, timesteps: Sequence[int]
    ) -> Tensor:
        """Return w, [n, num_latents, w_dim]."""
        prior = self.model.prior
        x0 = sample_ddim(
            prior.denoiser(condition, self.settings.guidance_scale),
            x_t,
            timesteps,
            prior.alpha_bar,
            generator=iter(()),  # no step of it is random
        )
        return prior.statistics.denormalise(x0)

    def _gather_layers(self, w: Tensor) -> Tensor:
        """Return the mean w of each latent's layers, [n, num_latents, w_dim]."""
        groups = torch.split(w, list(self.model.latent_repeats), dim=1)
        return torch.stack([group.mean(dim=1) for group in groups], dim=1)

    def _add(self, latents: Latents, offset: Tensor) -> Latents:
        """Return latents moved by an offset, [n, num_latents, w_dim]."""
        quantile, gaussian = (
            self.settings.truncation_quantile,
            self.model.prior.gaussian,
        )
        if quantile is not None and gaussian is not None:
            own = self._gather_layers(latents.w)
            share = psi_within_gaussian(own + offset, own, gaussian, quantile)
            offset = share[:, None, None] * offset
        layers = repeat_latents(offset, self.model.latent_repeats)
        return replace(latents, w=latents.w + layers)


def _check_settings(settings: PriorEditSettings, model: TextToImage) -> None:
    """Check that a prior can do what the settings ask of it."""
    prior = model.prior
    sampling = SamplingConfig(
        sampler="ddim",
        num_steps=settings.num_steps,
        guidance_scale=settings.guidance_scale,
    )
    check_sampling(prior, sampling)
    problems: dict[str, tuple[bool, str]] = {
        "start": (
            settings.start != 1 and prior.is_distilled,
            "1 for a distilled prior, which has learned to begin at pure noise",
        ),
        "num_steps": (
            settings.num_steps > round(settings.start * len(prior.alpha_bar)),
            f"at most start x the {len(prior.alpha_bar)} timesteps of the prior",
        ),
        "noise_level": (
            settings.noise_level > 0 and "noise_level" not in prior.condition_inputs,
            "0 for a prior that does not take it as an input",
        ),
    }
    for name, (is_wrong, expected) in problems.items():
        if is_wrong:
            msg = f"{name} must be {expected}, got {getattr(settings, name)}."
            raise InputError(msg)
    lacking: dict[str, tuple[bool, Any]] = {
        "mean_shift": (settings.mean_shift > 0 and not prior.knows_text_mean, 0),
        "truncation_quantile": (
            settings.truncation_quantile is not None and prior.gaussian is None,
            "null",
        ),
    }
    for name, (is_lacking, instead) in lacking.items():
        if is_lacking:
            msg = (
                f"{name} must be {instead} for a prior that does not know its training "
                f"data, got {getattr(settings, name)}. Train one by the pipeline "
                f"training."
            )
            raise UnavailableError(msg)
