"""A sweep: many ways of sampling on the same prompts with the same seeds."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Annotated, Any

from annotated_types import Ge

from clip2latent_kedro.checked import Checked, NonNegativeFloat, PositiveInt, Rule
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods import make_settings
from clip2latent_kedro.methods.clip2latent import Clip2Latent, Clip2LatentSettings
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.engine import (
    PlannedVariant,
    StoredResult,
    Variant,
    describe_dependence,
    expand_grid,
    measure_scores,
)


@dataclass(frozen=True)
class SweepConfig(Checked):
    """What is tried, `params:sweep`.

    Attributes:
        num_prompts: Prompts of the bank, after those of the validation.
        num_samples: Images of each prompt.
        grids: Groups of variants by name: values of each setting of
            `params:sampling`, or of `prior`, in lists whose product is tried; none
            for the base alone.
        fixed: Settings that the best variant may not change.
        clip_tolerance: CLIP score that the best may give up for diversity.
    """

    num_prompts: PositiveInt
    num_samples: Annotated[int, Ge(2)]
    grids: dict[str, dict[str, list[Any]]]
    fixed: list[str]
    clip_tolerance: NonNegativeFloat

    def rules(self) -> Iterator[Rule]:
        """Yield that there are values to try, and that what is fixed can be set."""
        known = [field.name for field in fields(Clip2LatentSettings)]
        yield set(self.fixed) <= {*known}, "fixed", f"names of {', '.join(known)}"
        for grid in self.grids.values():
            yield all(grid.values()), "grids", "lists of values to try"

    def variants(self) -> Iterator[Variant]:
        """Yield every point of every grid, in their order."""
        for grid, values in self.grids.items():
            for overrides in expand_grid(values):
                label = ", ".join(f"{name} {v}" for name, v in overrides.items())
                yield Variant(label or "as it is", overrides, group=grid)


def plan_sweep(
    config: SweepConfig,
    sampling: SamplingConfig,
    models: Models,
    queries: Queries,
    *,
    seed: int,
    stored_image_size: int,
) -> list[PlannedVariant]:
    """Return every variant, in the order of the grids.

    Args:
        config: `params:sweep`.
        sampling: The base, `params:sampling`.
        models: With the priors that there are.
        queries: The prompts of all variants.
        seed: Of all variants.
        stored_image_size: Side of images in memory.

    Raises:
        InputError: If a value is out of its range; the message names the grid.
    """
    planned = []
    for variant in config.variants():
        where = f"sweep.grids.{variant.group}"
        settings = make_settings(where, variant.overrides, {"sampling": sampling})
        method: Clip2Latent | InputError
        try:
            method = Clip2Latent.build(settings, models, queries)
        except InputError as error:
            method = error
        found = method if isinstance(method, Clip2Latent) else None
        protocol = {
            "num_samples": config.num_samples,
            "stored_image_size": stored_image_size,
        }
        depends_on = describe_dependence(
            models,
            queries,
            found,
            asdict(settings),
            "clip2latent_kedro.study.engine",
            seed=seed,
            **protocol,
        )
        compute = partial(_measure, method, queries, models, seed=seed, **protocol)
        planned.append(
            PlannedVariant(variant, depends_on["settings"], depends_on, compute, found)
        )
    return planned


def _measure(
    method: Clip2Latent | InputError,
    queries: Queries,
    models: Models,
    *,
    seed: int,
    num_samples: int,
    stored_image_size: int,
) -> StoredResult:
    """Return the scores of a variant; one that cannot be had raises why."""
    if isinstance(method, InputError):
        raise method
    found = measure_scores(
        {seed: method},
        queries,
        models,
        method.model.prior.gaussian,
        num_samples=num_samples,
        stored_image_size=stored_image_size,
    )
    return found[1], {}
