"""Lets the package be imported from src/ where there are torch and NumPy alone.

Import it before anything of the package. Of other packages, networks and samplers use
one: the bounds in annotations of settings (annotated-types), for which there are equal
ones here. What only reads files, texts and pictures is lent as names that can be
imported, and that say what is lacking when they are used. Packages that are installed
are left as they are.
"""

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

UNUSED = {  # named where files and texts are read
    "safetensors": ["safetensors", "safetensors.torch"],
    "yaml": ["yaml"],
    "regex": ["regex"],
    "PIL": ["PIL"],
}
SOURCE = Path(__file__).parents[1] / "src"


@dataclass(frozen=True, slots=True)
class Gt:
    """Values above a bound."""

    gt: Any


@dataclass(frozen=True, slots=True)
class Ge:
    """Values of a bound or more."""

    ge: Any


@dataclass(frozen=True, slots=True)
class Lt:
    """Values below a bound."""

    lt: Any


@dataclass(frozen=True, slots=True)
class Le:
    """Values of a bound or less."""

    le: Any


@dataclass(frozen=True, slots=True)
class MultipleOf:
    """Values that are a multiple of another."""

    multiple_of: Any


@dataclass(frozen=True, slots=True)
class Len:
    """Collections of some lengths."""

    min_length: int = 0
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """Values between bounds; it is the list of those that are given."""

    gt: Any = None
    ge: Any = None
    lt: Any = None
    le: Any = None

    def __iter__(self) -> Any:
        """Yield the bounds."""
        for kind, bound in ((Gt, self.gt), (Ge, self.ge), (Lt, self.lt), (Le, self.le)):
            if bound is not None:
                yield kind(bound)


class _Name(type):
    """Of a name that a package lacks: it has every other one, and none works."""

    def __getattr__(cls, name: str) -> Any:
        return _refusing(cls.__module__, name)


def _refusing(package: str, name: str) -> Any:
    """Return what may stand in annotations and `except` clauses, and is never made."""
    if name.startswith("__"):
        raise AttributeError(name)

    def refuse(self: object, *args: object, **options: object) -> NoReturn:
        msg = f"{name} needs the package {package}, which is not installed here."
        raise ImportError(msg)

    # A loader of YAML copies the resolvers of the one that it is derived from.
    own = {"__init__": refuse, "__module__": package, "yaml_implicit_resolvers": {}}
    return _Name(name, (Exception,), own)


class _Lacking(ModuleType):
    """A package that is not installed; what is made or called of it says so."""

    __path__: list[str] = []  # noqa: RUF012 (a package, as imports see it)

    def __getattr__(self, name: str) -> Any:
        if name == "compile":  # an expression, which is kept and perhaps never used
            return lambda *given: self
        return _refusing(self.__name__, name)


def _lend() -> list[str]:
    """Put what is lacking among the imported modules; return its names."""
    if find_spec("clip2latent_kedro") is None:
        sys.path.insert(0, str(SOURCE))
    lent = []
    if find_spec("annotated_types") is None:
        bounds = ModuleType("annotated_types")
        for kind in (Gt, Ge, Lt, Le, MultipleOf, Len, Interval):
            setattr(bounds, kind.__name__, kind)
        sys.modules["annotated_types"] = bounds
        lent.append("annotated_types")
    for package, modules in UNUSED.items():
        if find_spec(package) is None:
            for name in modules:
                sys.modules[name] = _Lacking(name)
            lent.append(package)
    return lent


LENT = _lend()
