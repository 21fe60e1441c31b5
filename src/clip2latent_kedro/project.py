"""A Kedro project's parameters and catalog, opened without a session.

A session imports every pipeline, to check the parameters of all of them, and sets up
hooks, logging and plugins: seconds, of which who only loads a model has no use.
"""

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.io import DataCatalog

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.hooks.catalog import CatalogHooks

_PATHS = ("filename", "filepath", "path")  # which entries are files, as in Kedro


@dataclass(frozen=True)
class Project:
    """What a project's configuration says.

    Attributes:
        catalog: Its entries, each made when it is first asked for; no parameters.
        parameters: The whole tree, as it is written.
    """

    catalog: DataCatalog
    parameters: Mapping[str, Any]


def open_project(folder: Path, env: str | None = None) -> Project:
    """Return the catalog and the parameters of a project.

    They are read by the loader that its settings name, with KEDRO_ENV and without any
    `--params`. The catalog is checked as a run checks it, the parameters are not.

    Args:
        folder: Of the project.
        env: Environment of the configuration; None for the default one.

    Raises:
        InputError: If there is no project or no such environment, or the catalog says
            what a run refuses.
    """
    folder = folder.expanduser().resolve()
    settings = _find_settings(folder)
    source = folder / getattr(settings, "CONF_SOURCE", "conf")
    env = env or os.environ.get("KEDRO_ENV")
    check_environment(source, env)
    make_loader = getattr(settings, "CONFIG_LOADER_CLASS", OmegaConfigLoader)
    arguments = getattr(settings, "CONFIG_LOADER_ARGS", {})
    loader = make_loader(str(source), env=env, **arguments)
    config = loader["catalog"]
    CatalogHooks().after_catalog_created(config)
    try:
        credentials = loader["credentials"]
    except MissingConfigException:
        credentials = {}
    make_catalog = getattr(settings, "DATA_CATALOG_CLASS", DataCatalog)
    catalog = make_catalog.from_config(_anchored(config, folder), credentials)
    return Project(catalog, loader["parameters"])


def check_environment(source: Path, env: str | None) -> None:
    """Raise `InputError` if a folder of configuration has no such environment."""
    if not env or (source / env).is_dir():
        return
    known = sorted({path.parent.name for path in source.glob("*/parameters*.yml")})
    msg = (
        f"env must be one of {', '.join(known)}, got {env!r}: {source / env} is not a "
        f"folder."
    )
    raise InputError(msg)


def _find_settings(folder: Path) -> Any:
    """Return the settings module of the project in a folder.

    Raises:
        InputError: If there is no project.
    """
    try:
        written = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
        section = written["tool"]["kedro"]
        package = str(section["package_name"])
    except (OSError, UnicodeError, tomllib.TOMLDecodeError, LookupError) as error:
        reason = "is not there" if isinstance(error, OSError) else "has no tool.kedro"
        msg = (
            f"A Kedro project must be in {folder}, whose pyproject.toml {reason}. "
            f"Change to the project's folder."
        )
        raise InputError(msg) from error
    if find_spec(package) is None:
        sys.path.insert(0, str(folder / section.get("source_dir", "src")))
    return import_module(f"{package}.settings")


def _anchored(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return catalog entries whose relative paths start at the project's folder."""
    anchored: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            value = _anchored(value, folder)
        elif name in _PATHS and isinstance(value, str) and "://" not in value:
            value = (folder / value).as_posix()
        anchored[name] = value
    return anchored
