"""Latents found by gradient descent on CLIP's own score, one search for each sample.

Direct optimisation goes from nothing but the text, in the form of the article that the
paper compares with or in a stronger one; StyleCLIP's from the mean of w; refinement
from samples of the prior.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import LatentGaussian
from clip2latent_kedro.methods.clip2latent import Clip2Latent, Clip2LatentSettings
from clip2latent_kedro.methods.method import (
    LatentMethod,
    Queries,
    Trajectory,
    UnavailableError,
)
from clip2latent_kedro.methods.models import Models, PriorName
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig
from clip2latent_kedro.methods.optimisation.coordinates import (
    fit_generator_gaussian,
    repeat_gaussian,
)
from clip2latent_kedro.methods.optimisation.loop import optimise_latents
from clip2latent_kedro.prior.sampling import adapt_sampling
from clip2latent_kedro.runtime import make_generator

GAUSSIAN_QUANTILE = 0.95
CAVEAT = (
    "Of the settings of searches and refinement no record was kept of how many were "
    "tried, and on which prompts; kedro run --pipeline=tuning tries as many of every "
    "method on prompts of the bank."
)
TUNED_CAVEAT = (
    "The settings of this search are the best of 6 that were tried on prompts of the "
    "bank (kedro run --pipeline=tuning)."
)


@dataclass(frozen=True)
class DirectSettings(OptimisationConfig):
    """One way of searching from nothing but the text.

    Attributes:
        variant: Whose settings in `params:baselines.optimisation` are meant.
    """

    variant: Literal["strong", "plain", "article"] = "strong"


@dataclass(frozen=True)
class StyleClipSettings(OptimisationConfig):
    """StyleCLIP's way of searching."""


@dataclass(frozen=True)
class RefinementSettings(OptimisationConfig):
    """How samples of a prior are refined.

    Attributes:
        prior: Whose samples.
    """

    prior: PriorName = "prior"


@dataclass(frozen=True, kw_only=True)
class Optimisation(LatentMethod):
    """w that a search ends at; one from a start without chance runs once.

    Attributes:
        encoder: Image -> embedding, on the device of the generator.
        gaussian: Of w, one row for each layer.
        has_bar: Whether to show the steps.
    """

    settings: OptimisationConfig
    encoder: Encoder
    gaussian: LatentGaussian
    has_bar: bool = True

    @abstractmethod
    def sample_starts(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return where to begin, [num_prompts, num_samples, num_ws, w_dim]."""

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_prompts, num_samples, num_ws, w_dim]."""
        w, _ = self.sample_with_trajectory(queries, num_samples=num_samples, seed=seed)
        return w

    def sample_with_trajectory(
        self, queries: Queries, *, num_samples: int, seed: int
    ) -> tuple[Tensor, Trajectory]:
        """Return w, and what it was after each of the recorded steps."""
        with torch.no_grad():
            num_searches = 1 if self.is_deterministic else num_samples
            start = self.sample_starts(queries, num_samples=num_searches, seed=seed)
        w, trajectory = optimise_latents(
            self.generator,
            self.encoder,
            queries.embedding.repeat_interleave(num_searches, dim=0),
            start.flatten(0, 1),
            self.settings,
            gaussian=self.gaussian,
            seed=seed,
            progress=type(self).__name__.lower() if self.has_bar else None,
        )
        each = (num_samples, *w.shape[1:])
        recorded = trajectory.samples.view(len(trajectory.steps), *start.shape)
        return (
            w.view(start.shape).expand(-1, *each),
            replace(trajectory, samples=recorded.expand(-1, -1, *each)),
        )

    def timed(self, guidance_scale: float) -> Self:
        """Return the search without its curve and its progress bar."""
        settings = replace(self.settings, record_steps=[])
        return replace(self, settings=settings, has_bar=False)


@dataclass(frozen=True, kw_only=True)
class Direct(Optimisation):
    """A search from nothing but the text."""

    Settings: ClassVar[type] = DirectSettings
    parameters: ClassVar[str | None] = "baselines.optimisation.{variant}"

    @classmethod
    def build(
        cls, settings: OptimisationConfig, models: Models, queries: Queries
    ) -> Self:
        """Return a search from nothing but the text."""
        gaussian = fit_generator_gaussian(models.generator, device=models.device)
        is_tuned = getattr(settings, "variant", "") == "plain"
        caveats = [TUNED_CAVEAT if is_tuned else CAVEAT]
        if settings.start == "zero":
            distance = float(gaussian.distance(torch.zeros_like(gaussian.mean)[None]))
            caveats.insert(
                0,
                f"The search starts at w = 0, {distance:.2g} spreads from the mean of "
                f"this generator's w, of which {GAUSSIAN_QUANTILE:.0%} lie within "
                f"{gaussian.radius(GAUSSIAN_QUANTILE):.2g}.",
            )
        is_deterministic = settings.start != "best_of"
        return cls(
            generator=models.generator,
            encoder=models.encoder,
            gaussian=gaussian,
            settings=settings,
            is_deterministic=is_deterministic,
            ignores_seed=is_deterministic and not settings.num_cutouts,
            caveats=caveats,
        )

    def sample_starts(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return where to begin, [num_prompts, num_samples, num_ws, w_dim].

        Raises:
            InputError: If the start is to be given.
        """
        config, embedding = self.settings, queries.embedding
        if config.start == "samples":
            msg = (
                "optimisation.start must be zero, mean or best_of where no samples are "
                "given, got 'samples'. Use it with the method refinement."
            )
            raise InputError(msg)
        if config.start == "best_of":
            return best_candidates(
                self.generator,
                self.encoder,
                embedding,
                config,
                num_samples=num_samples,
                seed=seed,
            )
        w = self.gaussian.mean.to(embedding)
        w = w if config.start == "mean" else torch.zeros_like(w)
        return w.expand(len(embedding), num_samples, -1, -1)


@dataclass(frozen=True, kw_only=True)
class StyleClip(Direct):
    """The optimisation of StyleCLIP (Patashnik et al. 2021, section 4).

    With lambda_ID = 0: its identity loss takes a network for faces, which this project
    has not.
    """

    Settings: ClassVar[type] = StyleClipSettings
    parameters: ClassVar[str | None] = "baselines.optimisation.styleclip"


@dataclass(frozen=True, kw_only=True)
class Refinement(Optimisation):
    """w of the prior, by `params:sampling`, from where a search goes on.

    Attributes:
        start: The prior.
    """

    Settings: ClassVar[type] = RefinementSettings
    parameters: ClassVar[str | None] = "baselines.optimisation.refine"

    start: Clip2Latent

    @classmethod
    def build(
        cls, settings: RefinementSettings, models: Models, queries: Queries
    ) -> Self:
        """Return refinement of one prior's samples.

        Raises:
            UnavailableError: If there is no prior, or no way to sample.
        """
        prior = models.find_prior(settings.prior)
        if models.sampling is None:
            msg = "There are no parameters sampling. Add them to conf/."
            raise UnavailableError(msg)
        sampling = adapt_sampling(prior, models.sampling)
        start = Clip2Latent.build(
            Clip2LatentSettings(**vars(sampling), prior=settings.prior), models, queries
        )
        of_prior = prior.gaussian
        return cls(
            generator=models.generator,
            encoder=models.encoder,
            gaussian=(
                fit_generator_gaussian(models.generator, device=models.device)
                if of_prior is None
                else repeat_gaussian(of_prior, models.latent_repeats)
            ),
            start=start,
            settings=settings,
            made_with=start.made_with,
            training_seconds=start.training_seconds,
            caveats=[CAVEAT],
        )

    def sample_starts(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return samples of the prior, [num_prompts, num_samples, num_ws, w_dim]."""
        return self.start.sample(queries, num_samples=num_samples, seed=seed)

    def list_settings(self) -> dict[str, Any]:
        """Return all settings by name; those of the prior's sampling as `start.*`."""
        of_start = {
            f"start.{name}": value for name, value in self.start.list_settings().items()
        }
        return {**super().list_settings(), **of_start}


@torch.no_grad()
def best_candidates(
    generator: Generator,
    encoder: Encoder,
    text_embedding: Tensor,
    config: OptimisationConfig,
    *,
    num_samples: int,
    seed: int,
) -> Tensor:
    """Return the best of some random w by CLIP, [n, num_samples, num_ws, w_dim].

    Args:
        generator: On the device of the embeddings.
        encoder: On the device of the embeddings.
        text_embedding: [n, clip_dim], of any length.
        config: `num_candidates` for each sample, which has candidates of its own,
            their truncation `candidate_psi`; and `batch_size`, images at a time, or
            those of one sample if more.
        num_samples: How many w are returned of each text.
        seed: Sample j of text i depends on (seed, i, j) alone.
    """
    direction = functional.normalize(text_embedding.float(), dim=-1)
    samples = list(product(range(len(text_embedding)), range(num_samples)))
    num_candidates = config.num_candidates
    at_once = max(1, config.batch_size // num_candidates)
    best = []
    for first in range(0, len(samples), at_once):
        batch = samples[first : first + at_once]
        z = torch.cat(
            [
                torch.randn(
                    num_candidates,
                    generator.z_dim,
                    generator=make_generator(seed, "optimisation_start", i, j),
                )
                for i, j in batch
            ]
        )
        w = generator.mapping(z.to(text_embedding), psi=config.candidate_psi)
        embedding = encoder.encode_image(generator.synthesis(w, noise_mode="const"))
        groups = (len(batch), num_candidates, -1)
        image = functional.normalize(embedding.float(), dim=-1).view(groups)
        wanted = direction[[i for i, _ in batch]]
        winner = torch.einsum("bcd,bd->bc", image, wanted).argmax(dim=1)
        first_of = torch.arange(len(batch), device=w.device) * num_candidates
        best.append(w[first_of + winner])
    found = torch.cat(best)
    return found.view(len(text_embedding), num_samples, *found.shape[1:])
