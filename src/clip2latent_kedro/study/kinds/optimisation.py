"""Latents that are searched for by gradient descent on CLIP's own score.

Direct optimisation goes from nothing but the text, in the form of the article that the
paper compares with or in a stronger one; StyleCLIP's from the mean of w; refinement
from samples of the prior.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from clip2latent_kedro.interfaces import Generator
from clip2latent_kedro.latents import LatentGaussian
from clip2latent_kedro.methods.optimisation import (
    OptimisationConfig,
    OptimisedLatents,
    fit_generator_gaussian,
    optimise,
    refine,
    repeat_gaussian,
)
from clip2latent_kedro.prior.sampling import ONE_STEP
from clip2latent_kedro.study.kinds import clip2latent
from clip2latent_kedro.study.method import Queries, Trajectory
from clip2latent_kedro.study.models import Models, find_prior
from clip2latent_kedro.study.rows import Allowed, Row, RowSpec

GAUSSIAN_LATENTS = 10_000  # w from which the generator's own Gaussian is measured
GAUSSIAN_SEED = 0
GAUSSIAN_QUANTILE = 0.95
CAVEAT = (
    "Of the settings of searches and refinement no record was kept of how many were "
    "tried, and on which prompts; those of clip2latent's sampling are the best of 91 "
    "on prompts of the bank."
)
_NAMES = [field.name for field in fields(OptimisationConfig)]
DIRECT = Allowed(
    group="baselines.optimisation.{variant}",
    names=_NAMES,
    own={"variant": ("strong", "plain", "article")},
)
STYLECLIP = Allowed(group="baselines.optimisation.styleclip", names=_NAMES)
REFINEMENT = Allowed(
    group="baselines.optimisation.refine",
    names=_NAMES,
    own={"prior": clip2latent.ALLOWED.own["prior"]},
)
Search = Callable[[Queries, int, int], OptimisedLatents]
"""(queries, num_samples, seed) -> w, and the way there."""


@dataclass(frozen=True)
class Optimisation:
    """w that a search ends at.

    Attributes:
        generator: w -> image.
        search: How w is found.
    """

    gives_w: ClassVar[bool] = True

    generator: Generator
    search: Search

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_prompts, num_samples, num_ws, w_dim]."""
        with torch.enable_grad():
            return self.search(queries, num_samples, seed).w

    def sample_with_trajectory(
        self, queries: Queries, *, num_samples: int, seed: int
    ) -> tuple[Tensor, Trajectory]:
        """Return w, and what it was after each of the recorded steps."""
        with torch.enable_grad():
            found = self.search(queries, num_samples, seed)
        return found.w, Trajectory(found.steps, found.trajectory)

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of w."""
        return self.generator.synthesis(samples, noise_mode="const")


def build(spec: RowSpec, models: Models, queries: Queries, *, allowed: Allowed) -> Row:
    """Return a row that searches from nothing but the text.

    Raises:
        LackingError: If the parameters have no such method.
        InputError: If a setting is out of its range.
    """
    config: OptimisationConfig = models.need_settings(spec, allowed)
    gaussian = _fit_gaussian(models)

    def make_search(config: OptimisationConfig, progress: str | None) -> Search:
        def search(queries: Queries, num_samples: int, seed: int) -> OptimisedLatents:
            return optimise(
                models.generator,
                models.encoder,
                queries.embedding,
                config,
                gaussian=gaussian,
                num_samples=num_samples,
                seed=seed,
                progress=progress,
            )

        return search

    return _make_row(
        spec.name,
        models,
        config,
        make_search,
        settings=asdict(config),
        made_with={},
        caveats=_describe_start(spec.name, config, gaussian),
        one_answer=not config.is_random,
    )


def build_refinement(spec: RowSpec, models: Models, queries: Queries) -> Row:
    """Return a row that goes on from samples of the prior, by `params:sampling`.

    Raises:
        LackingError: If the prior has not been made, or the parameters have no such
            method.
        InputError: If a setting is out of its range.
    """
    config: OptimisationConfig = models.need_settings(spec, REFINEMENT)
    name = REFINEMENT.get(spec.settings, "prior")
    prior = find_prior(models.priors, name)
    begin = {"prior": name, **(ONE_STEP if prior.is_distilled else {})}
    start = clip2latent.build(RowSpec(spec.name, "clip2latent", begin), models, queries)
    of_prior = prior.gaussian
    gaussian = (
        _fit_gaussian(models)
        if of_prior is None
        else repeat_gaussian(of_prior, models.latent_repeats)
    )

    def make_search(config: OptimisationConfig, progress: str | None) -> Search:
        def search(queries: Queries, num_samples: int, seed: int) -> OptimisedLatents:
            with torch.no_grad():
                w = start.method.sample(queries, num_samples=num_samples, seed=seed)
            return refine(
                models.generator,
                models.encoder,
                queries.embedding,
                w,
                config,
                gaussian=gaussian,
                seed=seed,
                progress=progress,
            )

        return search

    of_start = {f"start.{key}": value for key, value in start.settings.items()}
    return _make_row(
        spec.name,
        models,
        config,
        make_search,
        settings={**asdict(config), **of_start},
        made_with=start.made_with,
        training_seconds=start.training_seconds,
    )


def _make_row(
    name: str,
    models: Models,
    config: OptimisationConfig,
    make_search: Callable[[OptimisationConfig, str | None], Search],
    *,
    settings: Mapping[str, Any],
    made_with: Mapping[str, Any],
    one_answer: bool = False,
    training_seconds: float | None = None,
    caveats: Sequence[str] = (),
) -> Row:
    """Return a row; what is timed does not look at its way, and has no bar."""
    unwatched = make_search(replace(config, record_steps=[]), None)
    return Row(
        Optimisation(models.generator, make_search(config, name)),
        settings=settings,
        made_with=made_with,
        timed=Optimisation(models.generator, unwatched),
        one_answer=one_answer,
        training_seconds=training_seconds,
        caveats=(*caveats, CAVEAT),
    )


def _describe_start(
    name: str, config: OptimisationConfig, gaussian: LatentGaussian
) -> list[str]:
    """Return what a start at w = 0 means for this generator."""
    if config.start != "zero":
        return []
    distance = float(gaussian.distance(torch.zeros_like(gaussian.mean)[None]))
    return [
        f"{name} starts at w = 0, {distance:.2g} spreads from the mean of this "
        f"generator's w, of which {GAUSSIAN_QUANTILE:.0%} lie within "
        f"{gaussian.radius(GAUSSIAN_QUANTILE):.2g}."
    ]


def _fit_gaussian(models: Models) -> LatentGaussian:
    return fit_generator_gaussian(
        models.generator,
        num_latents=GAUSSIAN_LATENTS,
        seed=GAUSSIAN_SEED,
        device=models.device,
    )
