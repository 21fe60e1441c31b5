"""Models by name: ours in a dict, a user's through Python entry points.

A package adds its own kind with, for a generator,

    [project.entry-points."clip2latent_kedro.generators"]
    my_kind = "my_package.my_module:load"

where `load(path, options)` returns an object that satisfies the protocol.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from clip2latent_kedro.errors import InputError

Loader = Callable[[Path | None, Mapping[str, Any]], Any]


def find_loader(group: str, kind: str, built_in: Mapping[str, Loader]) -> Loader:
    """Return the loader of a kind, a user's own before a built-in one.

    Args:
        group: Entry point group, such as `clip2latent_kedro.generators`.
        kind: Name within the group.
        built_in: Loaders that the project brings, by name.

    Raises:
        InputError: If no such kind is known, the message lists those that are; or if
            what an entry point names cannot be imported.
    """
    extensions = {point.name: point for point in entry_points(group=group)}
    if kind in extensions:
        return _load(extensions[kind])
    if kind in built_in:
        return built_in[kind]
    known = ", ".join(sorted({*built_in, *extensions}))
    msg = (
        f"kind must be one of {known} ({group}), got {kind!r}. "
        f"Correct it in the catalog, or install the package that brings it."
    )
    raise InputError(msg)


def _load(point: EntryPoint) -> Loader:
    try:
        loader: Loader = point.load()
    except (ImportError, AttributeError) as error:
        msg = (
            f"The entry point {point.name} = {point.value!r} ({point.group}) cannot be "
            f"loaded ({error}). Correct it in the package that brings it."
        )
        raise InputError(msg) from error
    return loader
