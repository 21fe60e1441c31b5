"""Variants that are compared, each given as what it changes of the parameters.

Rows of the evaluation and points of a sweep are both written so: names of settings
with their values, over a base. Everything that is not named stays as in the base.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, cast

from clip2latent_kedro.methods.models import PriorName
from clip2latent_kedro.samplers import SamplingConfig

Overrides = Mapping[str, Any]
"""Names of settings and their values: `prior`, or a field of `SamplingConfig`."""


@dataclass(frozen=True)
class Variant:
    """A prior, and how latents are drawn from it.

    Attributes:
        prior: The last averaged weights, those that validated best, or the student
            that does it in one step.
        sampling: All settings.
    """

    prior: PriorName
    sampling: SamplingConfig


def make_variant(sampling: SamplingConfig, overrides: Overrides) -> Variant:
    """Return the base with some settings changed.

    Args:
        sampling: The base; its prior is `prior`.
        overrides: Checked by `check_overrides`.

    Raises:
        InputError: If a value is out of its range.
    """
    settings = dict(overrides)
    prior = cast(PriorName, settings.pop("prior", "prior"))
    return Variant(prior, replace(sampling, **settings))


def changes_any(variant: Variant, base: Variant, settings: Collection[str]) -> bool:
    """Return whether a variant differs from the base in any of some settings."""
    left, right = ({"prior": v.prior, **asdict(v.sampling)} for v in (variant, base))
    return any(left[name] != right[name] for name in settings)


def expand_grid(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the product of lists of values, the last name changing fastest.

    Args:
        grid: Values of each setting.

    Returns:
        One mapping of overrides for each combination.
    """
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def label_overrides(overrides: Overrides) -> str:
    """Return overrides in words, such as `sampler ddim, num_steps 4`."""
    return ", ".join(f"{name} {value}" for name, value in overrides.items())
