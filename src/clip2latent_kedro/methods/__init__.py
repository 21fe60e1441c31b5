"""The methods that are compared, one file or folder each, and what can be set of them.

A method is its settings, its training if it has one, and how it samples (see `method`).
"""

from collections.abc import Mapping
from typing import Any

from clip2latent_kedro.checked import check_types_at, read_settings
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.clip2gan.method import Clip2GanMethod
from clip2latent_kedro.methods.clip2latent import Clip2Latent
from clip2latent_kedro.methods.external import External
from clip2latent_kedro.methods.generator_bound import GeneratorBound
from clip2latent_kedro.methods.lafite.method import LafiteMethod
from clip2latent_kedro.methods.method import Method, UnavailableError
from clip2latent_kedro.methods.nearest_pair import NearestPair
from clip2latent_kedro.methods.optimisation.config import OptimisationParameters
from clip2latent_kedro.methods.optimisation.method import Direct, Refinement, StyleClip
from clip2latent_kedro.methods.random_w import RandomW
from clip2latent_kedro.methods.references import References
from clip2latent_kedro.samplers import SamplingConfig

METHODS: dict[str, type[Method]] = {
    "clip2latent": Clip2Latent,
    "random_w": RandomW,
    "reference": References,
    "generator_bound": GeneratorBound,
    "nearest_pair": NearestPair,
    "direct": Direct,
    "styleclip": StyleClip,
    "refinement": Refinement,
    "clip2gan": Clip2GanMethod,
    "lafite": LafiteMethod,
    "external": External,
}
DEFAULT_METHOD = "clip2latent"


def read_groups(
    sampling: SamplingConfig, optimisation: OptimisationParameters
) -> dict[str, Any]:
    """Return the groups of parameters that methods extend, by their dotted names.

    Args:
        sampling: `params:sampling`.
        optimisation: `params:baselines.optimisation`.
    """
    searches = vars(optimisation).items()
    of_searches = {f"baselines.optimisation.{name}": one for name, one in searches}
    return {"sampling": sampling, **of_searches}


def make_settings(
    where: str,
    overrides: Mapping[str, Any],
    groups: Mapping[str, Any],
    method: object = DEFAULT_METHOD,
) -> Any:
    """Return the settings of a method, an instance of its `Settings`.

    Args:
        where: Place of the overrides in the parameters, for the message.
        overrides: What was written, such as {"num_steps": 4}.
        groups: Of `read_groups`: everything that the overrides do not name.
        method: A key of `METHODS`.

    Raises:
        UnavailableError: If there are no such parameters.
        InputError: If a name is not known, or a value is out of its range.
    """
    if not isinstance(method, str) or method not in METHODS:
        msg = f"{where}.method must be one of {', '.join(METHODS)}, got {method!r}."
        raise InputError(msg)
    kind, base = METHODS[method], {}
    check_types_at(where, kind.Settings, overrides)
    if kind.parameters is not None:
        variant = overrides.get("variant", getattr(kind.Settings, "variant", ""))
        group = kind.parameters.format(variant=variant)
        if group not in groups:
            msg = f"There are no parameters {group}. Add them to conf/."
            raise UnavailableError(msg)
        base = vars(groups[group])
    return read_settings(kind.Settings, {**base, **overrides}, where)
