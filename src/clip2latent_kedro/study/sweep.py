"""A search for settings: many ways on the same prompts with the same seeds.

The sweep tries ways of sampling from the prior, the tuning as many settings of every
method that is compared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Annotated, Any

from annotated_types import Ge

from clip2latent_kedro.checked import (
    Checked,
    NonNegativeFloat,
    PositiveInt,
    Rule,
    SettingError,
    check_types,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import LatentGaussian
from clip2latent_kedro.methods import DEFAULT_METHOD, METHODS, make_settings
from clip2latent_kedro.methods.clip2latent import Clip2Latent, Clip2LatentSettings
from clip2latent_kedro.methods.digests import digest_arrays
from clip2latent_kedro.methods.method import Method, Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.study.engine import (
    PlannedVariant,
    StoredResult,
    Variant,
    describe_dependence,
    expand_grid,
    measure_scores,
)
from clip2latent_kedro.study.selection import Tolerances

OF_GRIDS = ("method", "num_samples", "num_prompts")  # beside values of settings


@dataclass(frozen=True)
class SweepConfig(Checked):
    """What is tried, `params:sweep` and `params:tuning`.

    Attributes:
        num_prompts: Prompts of the bank, after those of the validation.
        num_samples: Images of each prompt.
        num_seeds: Seeds of each variant, from `seed` on.
        grids: Groups of variants by name: values of each setting of the method in
            lists, whose product is tried; none for the base alone. Beside them
            `method`, clip2latent without one, and `num_samples` and `num_prompts` of
            its own, the first; None leaves the grid out.
        only: Names of the grids to try, with commas between; None for all.
        is_equal: Whether each grid is a method of its own, with as many settings as
            every other; otherwise all are ways of one.
        fixed: Settings that the best variant may not change.
        accuracy_tolerance: Share of the stated attributes that the best is shown to
            lose at most for diversity, ...
        blend_tolerance: ... and share of images that are blends, ...
        clip_tolerance: ... or CLIP score, where no judge tells attributes.
    """

    num_prompts: PositiveInt
    num_samples: Annotated[int, Ge(2)]
    num_seeds: PositiveInt
    grids: dict[str, dict[str, Any] | None]
    only: str | None
    is_equal: bool
    fixed: list[str]
    accuracy_tolerance: NonNegativeFloat
    blend_tolerance: NonNegativeFloat
    clip_tolerance: NonNegativeFloat

    def rules(self) -> Iterator[Rule]:
        """Yield that there are values to try, and that what is fixed can be set."""
        known = [field.name for field in fields(Clip2LatentSettings)]
        yield set(self.fixed) <= {*known}, "fixed", f"names of {', '.join(known)}"
        grids = f"names of grids, of {', '.join(self.grids)}, or null"
        yield self._chosen() <= self.grids.keys(), "only", grids
        for name, grid in self._written():
            own = {part: grid[part] for part in OF_GRIDS if part in grid}
            check_types(Variant, own, f"grids.{name}")
            _check_lists(name, _values(grid))
        if self.is_equal:
            counts = {name: len(expand_grid(_values(g))) for name, g in self._written()}
            yield len({*counts.values()}) <= 1, "grids", _as_many(counts)
        else:
            plain = not any("method" in grid for _, grid in self._written())
            yield plain, "grids", "ways of clip2latent, without a method"

    @property
    def tolerances(self) -> Tolerances:
        """What the best may lose, by score."""
        tolerances = self.accuracy_tolerance, self.blend_tolerance, self.clip_tolerance
        return Tolerances(*tolerances)

    def variants(self) -> Iterator[Variant]:
        """Yield every point of every grid, in their order."""
        chosen = self._chosen()
        for name, grid in self._written():
            if chosen and name not in chosen:
                continue
            own = {part: grid[part] for part in OF_GRIDS if part in grid}
            for overrides in expand_grid(_values(grid)):
                label = ", ".join(f"{name} {v}" for name, v in overrides.items())
                yield Variant(label or "as it is", overrides, group=name, **own)

    def _chosen(self) -> set[str]:
        return {name.strip() for name in (self.only or "").split(",") if name.strip()}

    def _written(self) -> list[tuple[str, dict[str, Any]]]:
        return [(name, grid) for name, grid in self.grids.items() if grid is not None]


def _values(grid: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values for name, values in grid.items() if name not in OF_GRIDS}


def _check_lists(grid: str, values: Mapping[str, Any]) -> None:
    for name, tried in values.items():
        if not isinstance(tried, list | tuple) or not tried:
            msg = f"grids.{grid}.{name} must be a list of values to try, got {tried!r}."
            raise SettingError(msg)


def _as_many(counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"of as many settings each (now {listed})"


def plan_sweep(
    config: SweepConfig,
    groups: Mapping[str, Any],
    models: Models,
    queries: Queries,
    *,
    where: str,
    seed: int,
    stored_image_size: int,
) -> list[PlannedVariant]:
    """Return every variant, in the order of the grids.

    Args:
        config: `params:sweep` or `params:tuning`.
        groups: Parameters that variants change (see `methods.read_groups`).
        models: With the priors and the trained methods that there are.
        queries: The prompts of all variants.
        where: Place of the config in the parameters, for messages.
        seed: The first of the seeds of all variants.
        stored_image_size: Side of images in memory.

    Raises:
        InputError: If a value is out of its range; the message names the grid.
    """
    planned = []
    for variant in config.variants():
        path = f"{where}.grids.{variant.group}"
        settings = make_settings(path, variant.overrides, groups, variant.method)
        method: Method | InputError
        try:
            method = METHODS[variant.method].build(_plain(settings), models, queries)
        except InputError as error:
            method = error
        found = method if isinstance(method, Method) else None
        last = 1 if found is not None and found.ignores_seed else config.num_seeds
        protocol = {
            "num_samples": variant.num_samples or config.num_samples,
            "stored_image_size": stored_image_size,
        }
        seeds = list(range(seed, seed + last))
        asked = queries
        if variant.num_prompts is not None:
            asked = queries.take(range(len(queries.texts))[: variant.num_prompts])
        depends_on = describe_dependence(
            models,
            asked,
            found,
            asdict(settings) if found is None else found.list_settings(),
            "clip2latent_kedro.study.engine",
            seeds=seeds,
            **_describe_method(variant, models),
            **protocol,
        )
        compute = partial(
            _measure, method, asked, models, seeds=seeds, protocol=protocol
        )
        planned.append(
            PlannedVariant(
                variant, depends_on["settings"], depends_on, compute, method=found
            )
        )
    return planned


def _describe_method(variant: Variant, models: Models) -> dict[str, str]:
    """Return what the result of a method of another kind depends on besides."""
    if variant.method == DEFAULT_METHOD:
        return {}
    cloud = _prior_cloud(models)
    described = {} if cloud is None else {"cloud": digest_arrays(vars(cloud))}
    return {"method": variant.method, **described}


def _plain(settings: Any) -> Any:
    """Return settings without a curve, which nothing reads of a search."""
    has_curve = any(field.name == "record_steps" for field in fields(settings))
    return replace(settings, record_steps=[]) if has_curve else settings


def _measure(
    method: Method | InputError,
    queries: Queries,
    models: Models,
    part: None,
    *,
    seeds: list[int],
    protocol: Mapping[str, Any],
) -> StoredResult:
    """Return the scores of a variant; one that cannot be had raises why."""
    if isinstance(method, InputError):
        raise method
    found = measure_scores(
        dict.fromkeys(seeds, method),
        queries,
        models,
        _cloud(method, models),
        **protocol,
    )
    return found[1], {}


def _cloud(method: Method, models: Models) -> LatentGaussian | None:
    """Return the Gaussian of the training data; of the prior's own, where it is one."""
    if isinstance(method, Clip2Latent):
        return method.model.prior.gaussian
    return _prior_cloud(models)


def _prior_cloud(models: Models) -> LatentGaussian | None:
    prior = models.priors.get("prior")
    return None if prior is None else prior.gaussian
