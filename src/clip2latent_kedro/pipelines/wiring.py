"""From functions to nodes: an argument takes the catalog entry of its name."""

import inspect
from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node

_OF_THEIR_NAME = (
    *("seed", "device", "resume", "data", "data_generation", "train", "validation"),
    *("sampling", "distillation", "evaluation", "coverage", "sweep", "ablation"),
    "inference",
)
PARAMETERS = {
    **{name: f"params:{name}" for name in _OF_THEIR_NAME},
    "network": "params:model.network",
    "diffusion": "params:model.diffusion",
    "optimisation": "params:baselines.optimisation",
    "num_validation_prompts": "params:validation.num_prompts",
}
"""Arguments that are parameters, and where these stand in the parameter tree."""


def wire(
    function: Callable[..., Any],
    outputs: str | list[str],
    /,
    *,
    name: str | None = None,
    **renames: str,
) -> Node:
    """Return the node of a function.

    Args:
        function: Each argument takes the parameter that `PARAMETERS` has for its name,
            or else the catalog entry of its name.
        outputs: Catalog entries, in the order of what the function returns.
        name: Name of the node; None for the function's own.
        renames: Catalog entries of the arguments that take another one.

    Raises:
        TypeError: If the function has no such argument.
    """
    arguments = inspect.signature(function).parameters
    if unknown := renames.keys() - arguments.keys():
        msg = f"{function.__name__} has no argument {', '.join(sorted(unknown))}."
        raise TypeError(msg)
    inputs = {
        argument: renames.get(argument, PARAMETERS.get(argument, argument))
        for argument in arguments
    }
    return Node(function, inputs, outputs, name=name or function.__name__)
