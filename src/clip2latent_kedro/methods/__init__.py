"""The methods that are compared, one file or folder each, and what can be set of them.

A method is its settings, its training if it has one, and how it samples (see `method`).
"""

from collections.abc import Mapping
from typing import Any, get_type_hints

from clip2latent_kedro.checked import check_types
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.clip2gan.method import Clip2GanMethod
from clip2latent_kedro.methods.clip2latent import Clip2Latent
from clip2latent_kedro.methods.external import External
from clip2latent_kedro.methods.generator_bound import GeneratorBound
from clip2latent_kedro.methods.lafite.method import LafiteMethod
from clip2latent_kedro.methods.method import LackingError, Method
from clip2latent_kedro.methods.nearest_pair import NearestPair
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig
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


def check_overrides(
    where: str, overrides: object, method: object = DEFAULT_METHOD
) -> None:
    """Check that overrides name settings of a method, and the values of its own ones.

    The values of the others are checked where they are built (see `make_settings`).

    Args:
        where: Place of the overrides in the parameters, for the message.
        overrides: What was given.
        method: A key of `METHODS`.

    Raises:
        InputError: If not; the message lists what there is.
    """
    if not isinstance(method, str) or method not in METHODS:
        msg = f"{where}.method must be one of {', '.join(METHODS)}, got {method!r}."
        raise InputError(msg)
    if not isinstance(overrides, Mapping):
        msg = f"{where} must be settings by name, got {overrides!r}."
        raise InputError(msg)
    types = get_type_hints(METHODS[method].Settings)
    own = METHODS[method].own_settings()
    known = [*own, *(name for name in types if name not in own)]
    for name in overrides:
        if name not in known:
            msg = (
                f"{where}.{name} is not a parameter. Known here: "
                f"{', '.join(known) or 'none'}."
            )
            raise InputError(msg)
    of_method = {name: overrides[name] for name in own if name in overrides}
    check_types(METHODS[method].Settings, of_method, where)


def split_overrides(
    overrides: Mapping[str, Any], method: str = DEFAULT_METHOD
) -> tuple[str | None, dict[str, Any]]:
    """Return the group of the parameter tree that overrides change, and those that do.

    Args:
        overrides: Those that `check_overrides` has passed.
        method: A key of `METHODS`.

    Returns:
        The group's dotted name, None if the method has none; and the overrides but for
        the method's own settings.
    """
    kind = METHODS[method]
    own = kind.own_settings()
    if kind.parameters is None:
        return None, {}
    values = {name: overrides.get(name, getattr(kind.Settings, name)) for name in own}
    of_group = {name: overrides[name] for name in overrides if name not in own}
    return kind.parameters.format(**values), of_group


def read_groups(
    sampling: SamplingConfig, baselines: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the groups of parameters that methods extend, by their dotted names.

    Args:
        sampling: `params:sampling`.
        baselines: `params:baselines`, which gives the settings of searches.
    """
    searches = baselines.get("optimisation", {})
    return {
        "sampling": sampling,
        **{
            f"baselines.optimisation.{name}": OptimisationConfig(**settings)
            for name, settings in searches.items()
        },
    }


def make_settings(
    where: str,
    overrides: Mapping[str, Any],
    groups: Mapping[str, Any],
    method: str = DEFAULT_METHOD,
) -> Any:
    """Return the settings of a method, an instance of its `Settings`.

    Args:
        where: Place of the overrides in the parameters, for the message.
        overrides: What was written, such as {"num_steps": 4}.
        groups: Of `read_groups`: everything that the overrides do not name.
        method: A key of `METHODS`.

    Raises:
        LackingError: If there are no such parameters.
        InputError: If a name is not known, or a value is out of its range.
    """
    check_overrides(where, overrides, method)
    group, _ = split_overrides(overrides, method)
    if group is not None and group not in groups:
        msg = f"There are no parameters {group}. Add them to conf/."
        raise LackingError(msg)
    base = {} if group is None else vars(groups[group])
    try:
        return METHODS[method].Settings(**{**base, **overrides})
    except InputError as error:
        msg = f"{where}: {error}"
        raise InputError(msg) from None
